"""The paper's comparisons at sizes that a workstation trains in minutes: rows, their runs, and what came out."""
