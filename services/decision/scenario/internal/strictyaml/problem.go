package strictyaml

import (
	"strconv"
	"strings"
)

// Problem is one reason to refuse a file.
type Problem struct {
	File    string
	Line    int // 0 if the whole file is meant
	Message string
}

// Error implements error: file:line: message.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.Message
}

// Problems is everything wrong with one or several files, in their order.
type Problems []Problem

// Error implements error, one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}
