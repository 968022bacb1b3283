package fault

import (
	"cmp"
	"errors"
)

// Refusal says what is wrong with a value that a caller gave, in words for that caller. Whoever judges a value does not know in which field
// of which call it came; who took it from there makes a Fault of the Refusal with At. One that callers tell from others is a variable of
// its package: errors.Is finds that very one.
type Refusal struct {
	text  string
	kind  Type // of the fault; empty = validation_error
	cause error
}

// Refuse returns a Refusal with a text like "has expired".
func Refuse(text string) *Refusal { return &Refusal{text: text} }

// OfType returns a Refusal that is r and of which a fault has the type, for callers that act on it.
func (r *Refusal) OfType(kind Type) *Refusal {
	return &Refusal{text: r.text, kind: kind, cause: r.cause}
}

// Error implements error. The cause is left out: it may hold what the caller sent.
func (r *Refusal) Error() string { return r.text }

// Because returns a Refusal that is r and has a cause as well.
func (r *Refusal) Because(cause error) *Refusal {
	return &Refusal{text: r.text, kind: r.kind, cause: errors.Join(r, cause)}
}

// Unwrap returns the cause, for the log.
func (r *Refusal) Unwrap() error { return r.cause }

// At makes a fault of a field of a Refusal. Other errors pass.
func At(field string, err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		f := Field(field, "%s", r.text).Because(err)
		f.Type = cmp.Or(r.kind, f.Type)
		return f
	}
	return err
}
