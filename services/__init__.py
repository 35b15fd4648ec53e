"""What can be asked of an installation: one function each, called alike by the command, the pages and programs."""
