package facts

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/naming"
	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// EachItem stands in a path for whichever passkey of a list.
const EachItem = "[]"

// Passkey is one of the account's.
type Passkey struct {
	AAGUID       string  `json:"aaguid"` // in lower case
	Class        Class   `json:"class"`
	Availability string  `json:"availability"`
	AgeHours     int     `json:"ageHours"`  // since it was created; see ladder.Hours
	UsedHours    int     `json:"usedHours"` // since it was last used; see ladder.Hours
	Backup       Backup  `json:"backup"`
	Counter      Counter `json:"counter"` // none, ok, or regressed
	*Attested
}

// Passkeys are those of an account in an order that their content gives, so that equal accounts have equal facts.
type Passkeys []Passkey

// Compare orders passkeys by their content.
func (p *Passkey) Compare(other *Passkey) int {
	for i := range itemFields {
		var order int
		if f := &itemFields[i]; f.text != nil {
			order = cmp.Compare(f.text(p), f.text(other))
		} else {
			order = cmp.Compare(f.integer(p), f.integer(other))
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// itemField is one value of a passkey.
type itemField struct {
	name    string
	text    func(*Passkey) string
	integer func(*Passkey) int
	key     *ast.Term
}

// itemFields are the members of a passkey, in the order of their JSON form. They are never changed.
var itemFields = [...]itemField{
	itemText("aaguid", func(p *Passkey) string { return p.AAGUID }),
	itemText("class", func(p *Passkey) string { return string(p.Class) }),
	itemText("availability", func(p *Passkey) string { return p.Availability }),
	itemCount("ageHours", func(p *Passkey) int { return p.AgeHours }),
	itemCount("usedHours", func(p *Passkey) int { return p.UsedHours }),
	itemText("backup", func(p *Passkey) string { return string(p.Backup) }),
	itemText("counter", func(p *Passkey) string { return string(p.Counter) }),
	itemText("attested", func(p *Passkey) string { return string(p.said().By) }),
	itemText("status", func(p *Passkey) string { return string(p.said().Status) }),
	itemCount("level", func(p *Passkey) int { return p.said().Level }),
}

// said is what there is of attestation.
func (p *Passkey) said() Attested {
	if p.Attested == nil {
		return Attested{}
	}
	return *p.Attested
}

// fields are those that the passkey has: records of before say nothing of attestation.
func (p *Passkey) fields() []itemField {
	if p.Attested != nil {
		return itemFields[:]
	}
	const attested = 3
	return itemFields[:len(itemFields)-attested]
}

func itemText(name string, get func(*Passkey) string) itemField {
	return itemField{name: name, text: get, key: ast.StringTerm(name)}
}

func itemCount(name string, get func(*Passkey) int) itemField {
	return itemField{name: name, integer: get, key: ast.StringTerm(name)}
}

func (f *itemField) value(p *Passkey) *ast.Term {
	if f.text != nil {
		return vocabulary.Term(f.text(p))
	}
	return ast.InternedTerm(f.integer(p))
}

func (p Passkeys) term() *ast.Term {
	all := make([]*ast.Term, len(p))
	for i := range p {
		var room [len(itemFields)][2]*ast.Term
		fields := p[i].fields()
		for at := range fields {
			room[at] = [2]*ast.Term{fields[at].key, fields[at].value(&p[i])}
		}
		all[i] = ast.ObjectTerm(room[:len(fields)]...)
	}
	return ast.ArrayTerm(all...)
}

func (p Passkeys) appendJSON(to []byte) []byte {
	to = append(to, '[')
	for i := range p {
		if i > 0 {
			to = append(to, ',')
		}
		fields := p[i].fields()
		for at := range fields {
			f, begin := &fields[at], byte(',')
			if at == 0 {
				begin = '{'
			}
			to = append(AppendText(append(to, begin), f.name), ':')
			if f.text != nil {
				to = AppendText(to, f.text(&p[i]))
			} else {
				to = strconv.AppendInt(to, int64(f.integer(&p[i])), 10)
			}
		}
		to = append(to, '}')
	}
	return append(to, ']')
}

// fieldsOf returns the fields with the names, all of them if there are no names.
func fieldsOf(names []string) []*itemField {
	fields := make([]*itemField, 0, len(itemFields))
	for at := range itemFields {
		if f := &itemFields[at]; len(names) == 0 || slices.Contains(names, f.name) {
			fields = append(fields, f)
		}
	}
	return fields
}

// appendKey appends some fields of each.
func (p Passkeys) appendKey(to []byte, fields []*itemField) []byte {
	to = binary.AppendUvarint(to, uint64(len(p)))
	for i := range p {
		for _, f := range fields {
			if f.text != nil {
				to = naming.AppendString(to, f.text(&p[i]))
			} else {
				to = binary.AppendVarint(to, int64(f.integer(&p[i])))
			}
		}
	}
	return to
}
