package memory

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// unbounded is what version 1 of control groups says, or more, where there is no bound.
const unbounded = 1 << 60

// controlGroup returns how much memory the process's control group and those around it may take; 0 = as much as there is, or it cannot be
// found out.
func controlGroup(machine fs.FS) (least int64) {
	groups, err := fs.ReadFile(machine, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		root, file, group := bounds(lines.Text())
		if root == "" {
			continue
		}
		// In a container the group may have another name than outside, so that only what is around it is found.
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			if n := bound(machine, path.Join(root, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// bounds returns where a line of /proc/self/cgroup has it that memory is bounded; root is empty if it is about something else.
func bounds(line string) (root, file, group string) {
	const parts = 3 // number, controllers, group
	fields := strings.SplitN(line, ":", parts)
	switch {
	case len(fields) < parts:
		return "", "", ""
	case fields[0] == "0" && fields[1] == "":
		return "sys/fs/cgroup", "memory.max", fields[2]
	case slices.Contains(strings.Split(fields[1], ","), "memory"):
		return "sys/fs/cgroup/memory", "memory.limit_in_bytes", fields[2]
	}
	return "", "", ""
}

func bound(machine fs.FS, name string) int64 {
	text, err := fs.ReadFile(machine, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= unbounded { // "max", for example
		return 0
	}
	return n
}
