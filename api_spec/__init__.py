"""The contract of flexmarket: types of everything that crosses a boundary, and the client of the market's API."""
