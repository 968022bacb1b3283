// Package outline reads of the record of a decision what lists show and reports count by, and no more of it than that takes: the head of
// a record says it, of one of an earlier version its facts and answers. It is pure.
package outline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Outline is what there is to say of a decision in a few words.
type Outline struct {
	ID             string
	Time           time.Time
	Project        string
	User           string // empty = nobody was known
	Process        string
	Action         string
	Rule           string
	Tag            string
	Allow          bool
	Memoised       bool
	DurationMicros int64
	Revision       string
	Number         int    // of the revision in the store; 0 = it is none of the store
	Arm            string // of a canary: base or canary; empty = there was none

	Said
}

// ErrNoRecord reports bytes that are no record of a decision.
var ErrNoRecord = errors.New("is no record of a decision")

// Reader reads records, one after another. The zero value is ready. One goroutine at a time uses it.
type Reader struct {
	buffer  bytes.Buffer
	decoder *jsontext.Decoder
}

// Read reads a record. The error wraps ErrNoRecord.
func (r *Reader) Read(record []byte) (Outline, error) {
	var o Outline
	if err := r.read(record, &o); err != nil {
		return Outline{}, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	if o.ID == "" || o.Project == "" || o.Action == "" || o.Time.IsZero() {
		return Outline{}, ErrNoRecord
	}
	return o, nil
}

func (r *Reader) read(record []byte, o *Outline) error {
	r.buffer.Reset()
	_, _ = r.buffer.Write(record)
	options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	if r.decoder == nil {
		r.decoder = jsontext.NewDecoder(&r.buffer, options...)
	} else {
		r.decoder.Reset(&r.buffer, options...)
	}
	if kind := r.decoder.PeekKind(); kind != '{' {
		return ErrNoRecord
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	outlined := false
	for r.decoder.PeekKind() == '"' {
		name, err := r.decoder.ReadToken()
		if err != nil {
			return err
		}
		switch member := name.String(); member {
		case "question":
			if outlined {
				return nil // the rest says it at length
			}
			err = r.decoder.SkipValue()
		case "outline":
			outlined = true
			err = json.UnmarshalDecode(r.decoder, &o.Said)
		case "facts", "answer", "risk":
			err = r.before(member, o)
		default:
			err = r.member(member, o)
		}
		if err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

// member reads a member of the head.
func (r *Reader) member(name string, o *Outline) (err error) {
	switch name {
	case "id":
		o.ID, err = r.text()
	case "time":
		var text string
		if text, err = r.text(); err == nil {
			o.Time, err = time.Parse(time.RFC3339Nano, text)
		}
	case "project":
		o.Project, err = r.text()
	case "user":
		o.User, err = r.text()
	case "process":
		o.Process, err = r.text()
	case "action":
		o.Action, err = r.text()
	case "rule":
		o.Rule, err = r.text()
	case "tag":
		o.Tag, err = r.text()
	case "policyRevision":
		o.Revision, err = r.text()
	case "policyNumber":
		o.Number, err = number[int](r)
	case "durationMicros":
		o.DurationMicros, err = number[int64](r)
	case "allow":
		o.Allow, err = r.truth()
	case "memoised":
		o.Memoised, err = r.truth()
	case "arm":
		var arm struct {
			Side string `json:"side"`
		}
		err = json.UnmarshalDecode(r.decoder, &arm)
		o.Arm = arm.Side
	default:
		err = r.decoder.SkipValue()
	}
	return err
}

// before reads what records of earlier versions say at length.
func (r *Reader) before(name string, o *Outline) error {
	var said struct {
		Client struct { // of facts
			OS      string `json:"os"`
			Browser string `json:"browser"`
			Device  string `json:"device"`
		} `json:"client"`
		Route   string   `json:"route"` // of answers
		Kind    string   `json:"kind"`
		Reason  string   `json:"reason"`
		Action  string   `json:"action"` // of risk
		Level   string   `json:"level"`
		Reasons []string `json:"reasons"`
	}
	if r.decoder.PeekKind() != '{' {
		return r.decoder.SkipValue() // null: the policy failed
	}
	raw, err := r.decoder.ReadValue()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &said, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	switch {
	case name == "facts":
		o.OS, o.Browser, o.Device = said.Client.OS, said.Client.Browser, said.Client.Device
	case name == "risk", o.Action == "risk":
		o.Verdict, o.Level = said.Action, said.Level
		o.Reasons = append(o.Reasons, said.Reasons...)
	default:
		o.Route, o.Kind = said.Route, said.Kind
		if said.Reason != "" {
			o.Reasons = append(o.Reasons, said.Reason)
		}
	}
	return nil
}

func (r *Reader) text() (string, error) {
	if r.decoder.PeekKind() != '"' {
		return "", ErrNoRecord
	}
	token, err := r.decoder.ReadToken()
	if err != nil {
		return "", err
	}
	return strings.Clone(token.String()), nil
}

func (r *Reader) truth() (bool, error) {
	if kind := r.decoder.PeekKind(); kind != 't' && kind != 'f' {
		return false, ErrNoRecord
	}
	token, err := r.decoder.ReadToken()
	if err != nil {
		return false, err
	}
	return token.Bool(), nil
}

func number[N int | int64](r *Reader) (N, error) {
	if r.decoder.PeekKind() != '0' {
		return 0, ErrNoRecord
	}
	token, err := r.decoder.ReadToken()
	if err != nil {
		return 0, err
	}
	n, err := token.Int()
	return N(n), err
}
