// Package textdiff says what differs between two texts, line by line in the unified form of POSIX diff, and between two JSON documents, by
// path. It is pure.
package textdiff

import (
	"fmt"
	"strings"
)

// around is how many lines that are the same stand around those that are not.
const around = 3

// maxCells bounds what is compared with each other; beyond it, what is between the first and the last difference is told as replaced.
const maxCells = 4 << 20

// edit is a line with what becomes of it: ' ' stays, '-' goes, '+' comes.
type edit struct {
	kind byte
	line string
}

// Unified returns the differences as hunks, nothing if there is none. A text without a line end at its end is told so.
func Unified(before, after string) string {
	edits := editsOf(lines(before), lines(after))
	var out strings.Builder
	for from := 0; from < len(edits); {
		first := next(edits, from)
		if first == len(edits) {
			break
		}
		begin, end := max(first-around, from), first
		for end < len(edits) { // as long as what follows is near
			changed := next(edits, end)
			if changed == len(edits) || changed-end > 2*around {
				break
			}
			end = changed + 1
		}
		end = min(end+around, len(edits))
		hunk(&out, edits, begin, end)
		from = end
	}
	return out.String()
}

// next returns the index of the first edit from there on that is a change.
func next(edits []edit, from int) int {
	for from < len(edits) && edits[from].kind == ' ' {
		from++
	}
	return from
}

func hunk(out *strings.Builder, edits []edit, begin, end int) {
	oldAt, newAt := 1, 1
	for _, e := range edits[:begin] {
		oldAt, newAt = oldAt+count(e.kind, '+'), newAt+count(e.kind, '-')
	}
	oldLines, newLines := 0, 0
	for _, e := range edits[begin:end] {
		oldLines, newLines = oldLines+count(e.kind, '+'), newLines+count(e.kind, '-')
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(oldAt, oldLines), span(newAt, newLines))
	for _, e := range edits[begin:end] {
		out.WriteByte(e.kind)
		out.WriteString(strings.TrimSuffix(e.line, "\n"))
		out.WriteByte('\n')
		if !strings.HasSuffix(e.line, "\n") {
			out.WriteString("\\ No newline at end of file\n")
		}
	}
}

// count is 1 for a line that is on the side where lines of the other kind are not.
func count(kind, absent byte) int {
	if kind == absent {
		return 0
	}
	return 1
}

// span writes where a hunk is; an empty one is behind the line before it.
func span(at, lines int) string {
	switch lines {
	case 0:
		return fmt.Sprintf("%d,0", at-1)
	case 1:
		return fmt.Sprint(at)
	default:
		return fmt.Sprintf("%d,%d", at, lines)
	}
}

// lines are the lines of a text, with their ends.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	all := strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// editsOf is the shortest way from one to the other, by the longest common subsequence of what is between what both begin and end with.
func editsOf(before, after []string) []edit {
	var edits []edit
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		edits = append(edits, edit{' ', before[0]})
		before, after = before[1:], after[1:]
	}
	same := 0
	for same < len(before) && same < len(after) && before[len(before)-1-same] == after[len(after)-1-same] {
		same++
	}
	tail := before[len(before)-same:]
	edits = append(edits, between(before[:len(before)-same], after[:len(after)-same])...)
	for _, line := range tail {
		edits = append(edits, edit{' ', line})
	}
	return edits
}

func between(before, after []string) (edits []edit) {
	if len(before)*len(after) > maxCells {
		return replaced(before, after)
	}
	// longest[i][j] is the length of the longest common subsequence of before[i:] and after[j:].
	longest := make([][]int32, len(before)+1)
	for i := range longest {
		longest[i] = make([]int32, len(after)+1)
	}
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			if before[i] == after[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(before) && j < len(after) {
		switch {
		case before[i] == after[j]:
			edits = append(edits, edit{' ', before[i]})
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			edits = append(edits, edit{'-', before[i]})
			i++
		default:
			edits = append(edits, edit{'+', after[j]})
			j++
		}
	}
	return append(edits, replaced(before[i:], after[j:])...)
}

func replaced(before, after []string) []edit {
	edits := make([]edit, 0, len(before)+len(after))
	for _, line := range before {
		edits = append(edits, edit{'-', line})
	}
	for _, line := range after {
		edits = append(edits, edit{'+', line})
	}
	return edits
}
