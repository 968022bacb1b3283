// Package reading reads the members of the answers of policies. It promises that what does not fit is told by the name of the member, and
// that nothing else is read of it. It is pure.
package reading

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Of returns a reader of an answer.
func Of(object ast.Object) *Answer { return &Answer{object: object} }

// Answer reads the object that a policy returned. The first thing that does not fit is kept in Err; later reads return zero values.
type Answer struct {
	object ast.Object
	Err    error
}

// Wrong notes that a member does not fit.
func (a *Answer) Wrong(key, want string) {
	if a.Err == nil {
		a.Err = fmt.Errorf("%s must be %s", key, want)
	}
}

func (a *Answer) value(key string) ast.Value {
	if term := a.object.Get(keys[key]); term != nil {
		return term.Value
	}
	return nil
}

// keys are the terms of every key that is read, made once.
var keys = terms(
	"rule", "allow", "tag", "route", "isCDACandidate", "preferImmediatelyAvailable", "credentials", "hints",
	"kind", "variant", "auto", "conditional", "manualAllowed", "isRestrictedBrowser", "reason", "attachment", "userVerification",
	"action", "level", "reasons", "stepUp", "exclude", "retrySeconds", "obligations", "notifyUser", "maxSessionSeconds",
)

func terms(names ...string) map[string]*ast.Term {
	made := make(map[string]*ast.Term, len(names))
	for _, name := range names {
		made[name] = ast.StringTerm(name)
	}
	return made
}

// Text reads a text.
func (a *Answer) Text(key string) string {
	s, ok := a.value(key).(ast.String)
	if !ok {
		a.Wrong(key, "a string")
	}
	return string(s)
}

// Boolean reads true or false.
func (a *Answer) Boolean(key string) bool {
	b, ok := a.value(key).(ast.Boolean)
	if !ok {
		a.Wrong(key, "true or false")
	}
	return bool(b)
}

// Texts reads an array of texts.
func (a *Answer) Texts(key string) []string {
	list, ok := a.value(key).(*ast.Array)
	if !ok {
		a.Wrong(key, "an array of strings")
		return []string{}
	}
	texts := make([]string, list.Len())
	for i := range texts {
		text, ok := list.Elem(i).Value.(ast.String)
		if !ok {
			a.Wrong(key, "an array of strings")
		}
		texts[i] = string(text)
	}
	return texts
}

// Given reports whether there is a member that answers may lack.
func (a *Answer) Given(key string) bool { return a.value(key) != nil }

// Whole reads a number that is whole and not negative; 0 if there is none.
func (a *Answer) Whole(key string) int {
	if !a.Given(key) {
		return 0
	}
	number, _ := a.value(key).(ast.Number)
	n, ok := number.Int()
	if !ok || n < 0 {
		a.Wrong(key, "a whole number, 0 or more")
	}
	return n
}

// Wholes reads an array of such numbers; none if there is none.
func (a *Answer) Wholes(key string) []int {
	if !a.Given(key) {
		return nil
	}
	list, ok := a.value(key).(*ast.Array)
	if !ok {
		a.Wrong(key, wantIndexes)
		return nil
	}
	var all []int
	list.Foreach(func(term *ast.Term) {
		number, _ := term.Value.(ast.Number)
		n, ok := number.Int()
		if !ok || n < 0 {
			a.Wrong(key, wantIndexes)
		}
		all = append(all, n)
	})
	return all
}

const wantIndexes = "an array of indexes into credentials.items"

// Inner reads an object within the answer; what is wrong in it is wrong in the answer.
func (a *Answer) Inner(key string, read func(*Answer)) {
	if !a.Given(key) {
		return
	}
	object, ok := a.value(key).(ast.Object)
	if !ok {
		a.Wrong(key, "an object")
		return
	}
	within := &Answer{object: object}
	read(within)
	if within.Err != nil && a.Err == nil {
		a.Err = fmt.Errorf("%s.%w", key, within.Err)
	}
}
