package bundlefile

import (
	"errors"
	"strconv"
)

// ErrExhausted is what an Error is that says nothing of the bundle for good: time or memory ran out, and another day they may do.
var ErrExhausted = errors.New("time or memory ran out")

// Error is one reason to refuse a bundle, with its place. Line is 0 if the whole file, File empty if the whole bundle is meant.
type Error struct {
	File    string
	Line    int
	Message string
	Advice  string // what to do about it

	Exhausted bool // see ErrExhausted
}

// Is reports whether target is what e is.
func (e *Error) Is(target error) bool { return e.Exhausted && target == ErrExhausted }

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
