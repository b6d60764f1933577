"""Workers on the nodes of a Ray cluster: the extra `ray`."""
