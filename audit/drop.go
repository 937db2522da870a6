package audit

// actionDrop is the entry that says that the entries of a log were dropped. Its
// object is that log.
const actionDrop = "audit.drop"
