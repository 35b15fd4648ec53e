-- Connections over TCP: strangers may come, but not crowd out the sources and control. Each second.

function crowd() end
