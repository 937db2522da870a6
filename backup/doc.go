// Package backup makes encrypted backups that the machine which writes them
// cannot read, and restores them without bringing back who was erased.
package backup
