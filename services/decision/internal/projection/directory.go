package projection

import "os"

// Directory makes the directory of a file: the one that is named, or a temporary one, which is own and is the caller's to remove.
func Directory(named, prefix string) (dir, own string, err error) {
	if named == "" {
		own, err = os.MkdirTemp("", prefix)
		return own, own, err
	}
	const private = 0o700
	return named, "", os.MkdirAll(named, private)
}
