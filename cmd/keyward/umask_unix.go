//go:build unix

package main

import "syscall"

// keepPrivate makes whatever this process writes its owner's alone: data, backups and keys are nobody else's, whatever the shell allows.
func keepPrivate() {
	const ownerOnly = 0o077
	syscall.Umask(ownerOnly)
}
