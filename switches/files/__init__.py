"""Files of call records that other systems wrote, read into records of version 2 by a mapping."""
