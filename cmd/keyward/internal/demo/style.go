package demo

import (
	"strings"
	"unicode/utf8"
)

// style is how text looks on a terminal: what stands in a control sequence SGR (ECMA-48, 8.3.117). The empty one leaves text as it is.
type style string

func (s style) render(text string) string {
	if s == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[m"
}

// styles are those of a page; the zero value is for where colours are not wanted.
type styles struct{ title, verb, faint, good, bad, key, accent style }

func coloured() styles {
	return styles{title: "1", verb: "1;34", faint: "90", good: "1;32", bad: "1;31", key: "36", accent: "35"}
}

// wrapped breaks text into lines of at most width characters, unless a word is longer.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
