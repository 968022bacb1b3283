package operator

import (
	"crypto/rand"
	"strings"

	"github.com/keyward/keyward/core/ident"
)

// TokenFile is the name of the file in the data directory of a server with the embedded NATS that holds the token of its own operator, so
// that commands on the same machine need no other.
const TokenFile = "operator-token"

// What the text of a token is made of: keyop_<number of the operator>_<secret>.
const (
	tokenScheme  = "keyop"
	idPrefix     = "opr-"
	secretLength = 26 // of rand.Text, of at least 128 bits
	secretLetter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// Token is what the text of one says, before anything is known to be true of it.
type Token struct {
	ID     ident.OperatorID
	Secret string
}

func newToken(id ident.OperatorID) Token { return Token{ID: id, Secret: rand.Text()} }

// Text returns the token as it is sent.
func (t Token) Text() string {
	return strings.Join([]string{tokenScheme, strings.TrimPrefix(string(t.ID), idPrefix), t.Secret}, "_")
}

// ParseToken reads the text of a token; false if it has not the form of one. A token has one text.
func ParseToken(text string) (Token, bool) {
	parts := strings.Split(text, "_")
	if len(parts) != 3 || parts[0] != tokenScheme || len(parts[2]) != secretLength {
		return Token{}, false
	}
	id, err := ident.ParseOperatorID(idPrefix + parts[1])
	if err != nil || strings.Trim(parts[2], secretLetter) != "" {
		return Token{}, false
	}
	return Token{ID: id, Secret: parts[2]}, true
}
