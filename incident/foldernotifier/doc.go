// Package foldernotifier writes notices of incidents into a folder, for people who
// carry them on by other means and as evidence of what was sent (TOM-9.2).
//
// [New] makes the notifier for incident.Options.Notifiers:
//
//	folder, err := foldernotifier.New("/var/lib/app/notices")
//
// A notice becomes <id>.txt for people and <id>.json for machines.
//
// # Guarantees
//
// Both files appear whole or not at all, reach the disk before the notice counts
// as delivered, and only the owner may read them. The same notice again leaves
// the same files. Nothing but the id becomes part of a path. A folder that others
// may read or write is refused.
//
// # Not covered
//
// Telling anybody that something lies there, and removing it. The files are not
// encrypted: they name the controller, and no affected person.
//
// # Compatibility
//
// The API may change before version 1. The JSON follows docs/formats/notice.md.
package foldernotifier
