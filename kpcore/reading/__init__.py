"""What every reader of annotations needs: roots, guarded opening, path rules, sides in names, held-out shares."""
