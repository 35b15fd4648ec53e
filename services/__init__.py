"""What can be asked of an installation: one function each, called alike by the command, the API and the pages. No terminal, no HTTP
server and no web page in here."""
