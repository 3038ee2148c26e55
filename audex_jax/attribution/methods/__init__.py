"""Attribution methods: a file's name is the method's name, its `attribute` the method behind the common protocol."""
