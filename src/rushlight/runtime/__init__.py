"""How and where operations are carried out."""
