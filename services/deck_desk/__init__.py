"""The deck desk: what a carrier manager does with the files that carriers send. Import, look, activate, roll back."""
