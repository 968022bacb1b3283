// Package strictyaml reads YAML files in which every key and word has to be known. What is not understood is noted with its line, and
// reading goes on, so that a writer is told of everything at once; words that are nearly right are told the one that was probably meant.
// Files cannot make it run away: what they may hold, with their aliases followed, is bounded. It is pure: it is given content and touches
// no file.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// Limits on what a file may hold, so that a file that refers to itself is refused rather than followed.
const (
	maxNodes = 2_000_000
	maxDepth = 64
)

// YAML's own tags of scalars.
const (
	tagText    = "!!str"
	tagNull    = "!!null"
	tagBoolean = "!!bool"
	tagInteger = "!!int"
	tagMoment  = "!!timestamp"
	tagMerge   = "!!merge"
)

// Reader reads one file and keeps what is wrong with it. Its methods never fail: they note the problem and return a zero value. What they
// take as what names the thing that is read, for complaints. It is for one goroutine.
type Reader struct {
	file     string
	problems Problems
	nodes    int
}

// New returns a reader of a file; the name is how problems call it.
func New(file string) *Reader { return &Reader{file: file} }

// File returns the name of the file.
func (r *Reader) File() string { return r.file }

// Noted returns how many problems have been noted so far.
func (r *Reader) Noted() int { return len(r.problems) }

// Problems returns what is wrong with the file, by line, each problem once: a faulty definition shows wherever it is used.
func (r *Reader) Problems() Problems {
	sorted := slices.Clone(r.problems)
	slices.SortFunc(sorted, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message)) })
	return slices.Compact(sorted)
}

// Refuse notes a problem at a node.
func (r *Reader) Refuse(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: n.Line, Message: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// Document parses the one YAML document of a file. It returns nil if there is none that can be used.
func (r *Reader) Document(content []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		r.Refuse(&yaml.Node{}, "the file is empty")
		return nil
	case err != nil:
		text := err.Error()
		place := yamlLine.FindStringSubmatch(text)
		line := 0
		if len(place) == 2 {
			line, _ = strconv.Atoi(place[1])
			text = text[len(place[0]):]
		}
		r.Refuse(&yaml.Node{Line: line}, "this is no YAML: %s", text)
		return nil
	}
	root := r.expand(document.Content[0], 0)
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.Refuse(&yaml.Node{Line: max(second.Line, 1)}, "the file holds more than one YAML document; a line of --- separates documents")
	}
	return root
}

// expand returns the tree with aliases replaced by what they stand for and merge keys (<<) merged. It returns nil once the file is too
// large.
func (r *Reader) expand(n *yaml.Node, depth int) *yaml.Node {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		if r.nodes <= maxNodes+1 {
			r.Refuse(n, "the file is nested too deeply or too large; anchors may not contain themselves")
		}
		r.nodes = maxNodes + 1
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return r.expand(n.Alias, depth+1)
	}
	c := *n
	c.Content, c.Alias = nil, nil
	for _, inner := range n.Content {
		expanded := r.expand(inner, depth+1)
		if expanded == nil {
			return nil
		}
		c.Content = append(c.Content, expanded)
	}
	if c.Kind == yaml.MappingNode {
		r.checkKeys(&c)
		r.mergeKeys(&c)
	}
	return &c
}

func (r *Reader) checkKeys(n *yaml.Node) {
	seen := make(map[string]bool, len(n.Content)/2)
	for key := range Pairs(n) {
		switch {
		case key.Kind != yaml.ScalarNode:
			r.Refuse(key, "a key must be a name, not %s", kindOf(key))
		case seen[key.Value]:
			r.Refuse(key, "the key %q is given twice", key.Value)
		}
		seen[key.Value] = true
	}
}

// mergeKeys puts what << brings behind the mapping's own keys, which win.
func (r *Reader) mergeKeys(n *yaml.Node) {
	var brought []*yaml.Node
	own := n.Content[:0:0]
	for key, value := range Pairs(n) {
		if key.ShortTag() != tagMerge {
			own = append(own, key, value)
			continue
		}
		switch value.Kind {
		case yaml.MappingNode:
			brought = append(brought, value)
		case yaml.SequenceNode:
			brought = append(brought, value.Content...)
		default:
			r.Refuse(value, "<< needs an alias of an object, or a list of them")
		}
	}
	n.Content = own
	for _, from := range brought {
		if from.Kind != yaml.MappingNode {
			r.Refuse(from, "<< needs an alias of an object, or a list of them")
			continue
		}
		for key, value := range Pairs(from) {
			if Get(n, key.Value) == nil {
				n.Content = append(n.Content, key, value)
			}
		}
	}
}

// Pairs yields the keys and values of a mapping.
func Pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Get returns the value of a key of a mapping, nil if it has none.
func Get(n *yaml.Node, name string) *yaml.Node {
	for key, value := range Pairs(n) {
		if key.Value == name {
			return value
		}
	}
	return nil
}

// IsNull reports whether a node is nothing at all.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tagNull }

// IsInteger reports whether a node is a whole number.
func IsInteger(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tagInteger }

// kindOf names what a node holds, for complaints.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case tagNull:
		return "nothing"
	case tagBoolean:
		return "true or false"
	case tagText:
		return "text"
	case tagMoment:
		return "a time"
	default:
		return "a number"
	}
}

// Object returns the values of a mapping by key; keys other than those allowed are problems. what names the object in complaints.
func (r *Reader) Object(n *yaml.Node, what string, allowed []string) map[string]*yaml.Node {
	fields := r.Named(n, what)
	for key := range Pairs(n) {
		if !slices.Contains(allowed, key.Value) {
			r.Refuse(key, "%s has no key %q%s", what, key.Value, instead(key.Value, allowed))
			delete(fields, key.Value)
		}
	}
	return fields
}

// Named is Object for a mapping whose keys are of the writer's choice.
func (r *Reader) Named(n *yaml.Node, what string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.Refuse(n, "%s must be an object, not %s", what, kindOf(n))
		return fields
	}
	for key, value := range Pairs(n) {
		fields[key.Value] = value
	}
	return fields
}

// List returns the elements of a sequence; nothing at all is an empty one.
func (r *Reader) List(n *yaml.Node, what string) []*yaml.Node {
	if n == nil || IsNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.Refuse(n, "%s must be a list, not %s", what, kindOf(n))
		return nil
	}
	return n.Content
}

// Text returns a scalar that is text; of no node, nothing.
func (r *Reader) Text(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != tagText {
		hint := ""
		if n.Kind == yaml.ScalarNode && !IsNull(n) {
			hint = "; put it in quotes"
		}
		r.Refuse(n, "%s must be text, not %s%s", what, kindOf(n), hint)
		return ""
	}
	return n.Value
}

// Boolean returns a scalar that is true or false; of no node, false.
func (r *Reader) Boolean(n *yaml.Node, what string) bool {
	if n == nil {
		return false
	}
	var b bool
	if n.Kind != yaml.ScalarNode || n.ShortTag() != tagBoolean || n.Decode(&b) != nil {
		r.Refuse(n, "%s must be true or false, not %s", what, kindOf(n))
	}
	return b
}

// Integer returns a scalar that is a whole number; of no node, 0.
func (r *Reader) Integer(n *yaml.Node, what string) int64 {
	if n == nil {
		return 0
	}
	var i int64
	if !IsInteger(n) || n.Decode(&i) != nil {
		r.Refuse(n, "%s must be a whole number, not %s", what, kindOf(n))
	}
	return i
}

// Number returns a scalar that is a finite number; of no node, 0.
func (r *Reader) Number(n *yaml.Node, what string) float64 {
	if n == nil {
		return 0
	}
	var f float64
	if (!IsInteger(n) && (n.Kind != yaml.ScalarNode || n.ShortTag() != "!!float")) || n.Decode(&f) != nil || math.IsInf(f, 0) ||
		math.IsNaN(f) {
		r.Refuse(n, "%s must be a number, not %s", what, kindOf(n))
	}
	return f
}

// Choice is Text out of a vocabulary.
func (r *Reader) Choice(n *yaml.Node, what string, vocabulary []string) string {
	if n == nil {
		return ""
	}
	before := len(r.problems)
	word := r.Text(n, what)
	if len(r.problems) == before && !slices.Contains(vocabulary, word) {
		r.Refuse(n, "unknown %s %q%s", what, word, instead(word, vocabulary))
		return ""
	}
	return word
}

// instead ends a complaint about a word with the one that was probably meant, or with all there are if they are few.
func instead(word string, vocabulary []string) string {
	const few = 12
	if meant := nearest(word, vocabulary); meant != "" {
		return fmt.Sprintf("; did you mean %q?", meant)
	}
	switch {
	case len(vocabulary) == 0:
		return "; there is none"
	case len(vocabulary) <= few:
		known := slices.Clone(vocabulary)
		for i := range known {
			if known[i] == "" {
				known[i] = `""`
			}
		}
		return "; there are " + strings.Join(known, ", ")
	default:
		return ""
	}
}

// nearest returns the word that differs by a slip or two, else the first that contains what was written, else nothing.
func nearest(word string, vocabulary []string) string {
	const (
		shortest = 3 // of what is compared
		slip     = 3 // letters for which one may be wrong
	)
	if len(word) < shortest {
		return ""
	}
	found, best := "", len(word)/slip+1
	for _, known := range vocabulary {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(known)); d < best {
			found, best = known, d
		}
	}
	if found != "" {
		return found
	}
	for _, known := range vocabulary {
		if strings.Contains(known, word) {
			return known
		}
	}
	return ""
}

// Merge returns base with changes laid over it, also inside nested objects. A null removes the key. Nodes keep the lines they came from.
func Merge(base, changes *yaml.Node) *yaml.Node {
	merged := *changes
	merged.Content = nil
	if base != nil {
		merged.Content = slices.Clone(base.Content)
	}
	for key, value := range Pairs(changes) {
		at := -1
		for i := 0; i+1 < len(merged.Content); i += 2 {
			if merged.Content[i].Value == key.Value {
				at = i
			}
		}
		var old *yaml.Node
		if at >= 0 {
			old = merged.Content[at+1]
		}
		switch {
		case IsNull(value):
			if at >= 0 {
				merged.Content = slices.Delete(merged.Content, at, at+2)
			}
			continue
		case value.Kind == yaml.MappingNode && (old == nil || old.Kind == yaml.MappingNode):
			value = Merge(old, value)
		case value.Kind == yaml.MappingNode:
			value = Merge(nil, value)
		}
		if at >= 0 {
			merged.Content[at], merged.Content[at+1] = key, value
			continue
		}
		merged.Content = append(merged.Content, key, value)
	}
	return &merged
}
