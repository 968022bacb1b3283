package bundlefile

import "strconv"

// Error is one reason to refuse a bundle, with its place. Line is 0 if the whole file, File empty if the whole bundle is meant.
type Error struct {
	File    string
	Line    int
	Message string
	Advice  string // what to do about it
}

// Error implements error: file:line: message; advice.
func (e *Error) Error() string {
	text := e.Message
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	switch {
	case e.File == "":
		return text
	case e.Line == 0:
		return e.File + ": " + text
	default:
		return e.File + ":" + strconv.Itoa(e.Line) + ": " + text
	}
}
