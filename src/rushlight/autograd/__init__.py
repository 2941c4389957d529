"""Taking derivatives."""
