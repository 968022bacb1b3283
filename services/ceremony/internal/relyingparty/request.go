package relyingparty

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"

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

// Get returns options for an assertion by a user who is known.
//
// Request options are what every login start makes, so they are written here, in the form of the library and with its session data, rather
// than through its structures and a reflecting encoder; a test holds both to the library's own.
func (p *Party) Get(userHandle []byte, r Request) Options {
	var random [protocol.ChallengeLength]byte
	rand.Read(random[:])
	value := base64.RawURLEncoding.EncodeToString(random[:])
	forOptions, forSession := sizes(r)
	return Options{
		JSON:      string(p.appendRequest(make([]byte, 0, forOptions), value, r)),
		Challenge: value,
		Session:   challenge.Session{Format: sessionFormat, Data: p.appendSession(make([]byte, 0, forSession), value, userHandle, r)},
	}
}

// GetDiscoverable returns options for an assertion by whoever the authenticator finds.
func (p *Party) GetDiscoverable(r Request) Options { return p.Get(nil, r) }

// sizes returns about how many bytes the options of a request take, and its session.
func sizes(r Request) (options, session int) {
	const fixed, each, transport = 256, 48, 14
	options, session = fixed, fixed
	for _, c := range r.Allow {
		id := base64.StdEncoding.EncodedLen(len(c.CredentialID))
		options += each + id + transport*len(c.Transports)
		session += id + len(`"",`)
	}
	return options, session
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

// appendSession writes the library's SessionData.
func (p *Party) appendSession(b []byte, value string, userHandle []byte, r Request) []byte {
	b = append(b, `{"challenge":"`...)
	b = append(b, value...)
	b = append(b, '"')
	b = appendMember(b, `,"rpId":`, p.project.RPID)
	if len(userHandle) > 0 {
		b = append(b, `,"user_id":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, userHandle), '"')
	}
	for i := range r.Allow {
		if i == 0 {
			b = append(b, `,"allowed_credentials":["`...)
		} else {
			b = append(b, `,"`...)
		}
		b = append(base64.StdEncoding.AppendEncode(b, r.Allow[i].CredentialID), '"')
	}
	if len(r.Allow) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"expires":"0001-01-01T00:00:00Z"`...)
	b = appendMember(b, `,"userVerification":`, r.UserVerification)
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
