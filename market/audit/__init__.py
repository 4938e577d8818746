"""The audit log, without a database: what a leaf commits to, the Merkle tree over them, signed heads, verification."""
