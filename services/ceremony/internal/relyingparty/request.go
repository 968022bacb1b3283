package relyingparty

import (
	"encoding/base64"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// Request says which passkeys to ask for.
type Request struct {
	Allow            []*account.Credential // in the order to send; empty = any that the authenticator finds
	UserVerification string
	Hints            []string
	Immediate        bool // the browser ends quietly if it holds none; such a request names no passkey
}

// Get returns options for an assertion with a challenge, base64url without padding, as JSON in the form that parseRequestOptionsFromJSON
// takes.
//
// Request options are what every login start makes, so they are written here, in the form of the library, rather than through its
// structures and a reflecting encoder; a test holds them to the library's own.
func (p *Party) Get(value string, r Request) string {
	var room [usualSize]byte
	to := room[:0]
	if need := size(r) + len(value); need > usualSize {
		to = make([]byte, 0, need)
	}
	return string(p.appendRequest(to, value, r))
}

// usualSize is how many bytes options of a request have room for that take no memory of their own meanwhile.
const usualSize = 1024

// size returns about how many bytes the options of a request take, besides the challenge.
func size(r Request) int {
	const fixed, each, transport = 200, 48, 14
	options := fixed
	for _, c := range r.Allow {
		options += each + base64.RawURLEncoding.EncodedLen(len(c.CredentialID)) + transport*len(c.Transports)
	}
	return options
}

// Asked is what the finish has to know of r.
func (r Request) Asked() challenge.Asked {
	asked := challenge.Asked{UserVerification: r.UserVerification, Allowed: make([][]byte, len(r.Allow))}
	for i, c := range r.Allow {
		asked.Allowed[i] = c.CredentialID
	}
	return asked
}

// appendRequest writes {"publicKey":PublicKeyCredentialRequestOptionsJSON} (W3C WebAuthn §5.1.8), and beside it uiMode (W3C Credential
// Management) if the request is immediate.
func (p *Party) appendRequest(b []byte, value string, r Request) []byte {
	b = append(b, `{"publicKey":{"challenge":"`...)
	b = append(b, value...)
	b = append(b, `","timeout":`...)
	b = strconv.AppendInt(b, timeoutMs, 10)
	b = appendMember(b, `,"rpId":`, p.project.RPID)
	for i := range r.Allow {
		if i == 0 {
			b = append(b, `,"allowCredentials":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"type":"public-key","id":"`...)
		b = base64.RawURLEncoding.AppendEncode(b, r.Allow[i].CredentialID)
		b = append(b, '"')
		b = appendList(b, `,"transports":`, r.Allow[i].Transports)
		b = append(b, '}')
	}
	if len(r.Allow) > 0 {
		b = append(b, ']')
	}
	b = appendMember(b, `,"userVerification":`, r.UserVerification)
	b = appendList(b, `,"hints":`, r.Hints)
	b = append(b, '}')
	if r.Immediate {
		b = append(b, `,"uiMode":"immediate"`...)
	}
	return append(b, '}')
}

// appendMember writes a name and a string unless it is empty. What is not UTF-8 in it is replaced, as encoding/json does.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, name...)
	b, _ = jsontext.AppendQuote(b, value)
	return b
}

// appendList writes a name and a list of strings unless it is empty.
func appendList(b []byte, name string, values []string) []byte {
	for i, value := range values {
		if i == 0 {
			b = append(append(b, name...), '[')
		} else {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, value)
	}
	if len(values) > 0 {
		b = append(b, ']')
	}
	return b
}
