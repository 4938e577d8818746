"""Many runs of one scenario: which ones, where they are run, and what they gave."""
