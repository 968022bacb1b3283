// Package scenario runs decisions that are written down: what was known, what happened before, what the engine must answer. Security
// teams keep them beside their rules. A scenario goes through the detection, the fold and the policy that answer in production, with the
// clock set to its own moment.
//
// The package reads the files it is told of and nothing else. A file that holds anything the format does not know is refused as a whole,
// each fault with its line: a misspelt key would otherwise be a test that cannot fail.
package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/scenario/internal/logged"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// The actions that a scenario may ask about.
const (
	Login     = written.Login
	Append    = written.Append
	Mediation = written.Mediation
	Risk      = written.Risk
	Rollout   = written.Rollout
)

// Tells reports whether a log entry can be of the type. Others change no answer.
func Tells(t event.Type) bool { return logged.Tells(t) }

// Suite is the scenarios of one or several files, in their order. It is immutable.
type Suite struct {
	scenarios []written.Scenario
}

// Len returns the number of scenarios.
func (s Suite) Len() int { return len(s.scenarios) }

// Select returns the scenarios whose name matches.
func (s Suite) Select(name *regexp.Regexp) Suite {
	var selected Suite
	for i := range s.scenarios {
		if name.MatchString(s.scenarios[i].Name) {
			selected.scenarios = append(selected.scenarios, s.scenarios[i])
		}
	}
	return selected
}

// What is wrong with files.
type (
	// Problem is one reason to refuse a file. As an error it reads file:line: message.
	Problem = strictyaml.Problem
	// Problems is everything wrong with one or several files, in their order. As an error it has one problem a line.
	Problems = strictyaml.Problems
)

// Read returns the scenarios of the files. An error is or wraps Problems if a file could be read but not understood.
func Read(files ...string) (Suite, error) {
	return read(files, os.ReadFile)
}

// Own returns the scenarios that a bundle brings along in scenarios/ and the directories there, none if it has no such file. Places in
// errors begin with at, the bundle's directory.
func Own(bundle fs.FS, at string) (Suite, error) {
	var files []string
	for _, pattern := range []string{"scenarios/*.yaml", "scenarios/*.yml", "scenarios/*/*.yaml", "scenarios/*/*.yml"} {
		found, err := fs.Glob(bundle, pattern)
		if err != nil {
			return Suite{}, fmt.Errorf("look for scenarios: %w", err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	shown := make(map[string]string, len(files))
	for i, file := range files {
		files[i] = path.Join(at, file)
		shown[files[i]] = file
	}
	return read(files, func(name string) ([]byte, error) { return fs.ReadFile(bundle, shown[name]) })
}

func read(files []string, content func(string) ([]byte, error)) (Suite, error) {
	var suite Suite
	var problems Problems
	for _, file := range files {
		raw, err := content(file)
		if err != nil {
			return Suite{}, fmt.Errorf("read scenarios: %w", err)
		}
		scenarios, found := written.Parse(file, raw)
		suite.scenarios = append(suite.scenarios, scenarios...)
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return Suite{}, problems
	}
	return suite, nil
}

// Parse reads one file's content; file is its name in reports and errors. An error is Problems.
func Parse(file string, content []byte) (Suite, error) {
	scenarios, problems := written.Parse(file, content)
	if len(problems) > 0 {
		return Suite{}, problems
	}
	return Suite{scenarios}, nil
}
