package listdb

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

// The buckets that are followed, by their places.
const (
	Accounts = iota
	Sessions
	Tokens
	BucketCount
)

// BucketNames returns the names of the buckets, by their places.
func BucketNames() [BucketCount]string {
	return [BucketCount]string{bus.AccountsBucket, bus.SessionsBucket, bus.TokensBucket}
}

// StreamName returns the name of a bucket's stream.
func StreamName(bucket string) string { return "KV_" + bucket }

// Subject returns the subject of a key, or of the keys that a pattern matches.
func Subject(bucket, key string) string { return "$KV." + bucket + "." + key }

// Change is what one message of a bucket's stream says.
type Change struct {
	Bucket   int
	Sequence uint64
	stored   int64 // Unix ms, by the server's clock

	key     string // <project>.<id>; empty: nothing but that the stream has come to sequence
	project string
	id      string

	// At most one is set; none: there is nothing to show under the key.
	user    *user
	session *session.Session
	token   *connecttoken.Token

	unfinished bool  // of an account
	Wrong      error // why an entry makes no row although it should
}

// user is what the rows of a user are made of: an account without passkeys, environments and secrets.
type user struct {
	FullName           *string                 `json:"fullName"`
	Status             account.Status          `json:"status"`
	ExplicitWebauthnID *string                 `json:"explicitWebauthnID"`
	CreatedMs          int64                   `json:"createdMs"`
	UpdatedMs          int64                   `json:"updatedMs"`
	Identifiers        []account.Identifier    `json:"identifiers"`
	SocialAccounts     []account.SocialAccount `json:"socialAccounts"`
	Unannounced        []struct{}              `json:"unannounced"`
	Erasing            bool                    `json:"erasing"`
}

var errKey = errors.New("the key is not of the form <project>.<id>")

// ReadChange makes a change of a message. What is in the message and cannot be read is said in the change.
func ReadChange(bucket int, msg *jetstream.RawStreamMsg) Change {
	c := Change{Bucket: bucket, Sequence: msg.Sequence, stored: msg.Time.UnixMilli()}
	c.key = strings.TrimPrefix(msg.Subject, Subject(BucketNames()[bucket], ""))
	var ok bool
	if c.project, c.id, ok = strings.Cut(c.key, "."); !ok {
		c.Wrong = errKey
		return c
	}
	// What the store removed by age it marks in a header of its own.
	if msg.Header.Get("KV-Operation") != "" || msg.Header.Get("Nats-Marker-Reason") != "" {
		return c
	}
	c.Wrong = c.decode(msg.Data)
	return c
}

func (c *Change) decode(data []byte) error {
	var err error
	switch c.Bucket {
	case Accounts:
		var u user
		if err = jsonv2.Unmarshal(data, &u); err == nil {
			c.unfinished = u.Erasing || len(u.Unannounced) > 0
			if !u.Erasing {
				c.user = &u
			}
		}
	case Sessions:
		var s session.Session
		if err = jsonv2.Unmarshal(data, &s); err == nil {
			c.session = &s
		}
	case Tokens:
		var t connecttoken.Token
		if err = jsonv2.Unmarshal(data, &t); err == nil {
			c.token = &t
		}
	}
	if err != nil {
		return fmt.Errorf("decode %s: %w", c.key, err)
	}
	return nil
}

// shows reports whether the change leaves a row.
func (c *Change) shows() bool { return c.user != nil || c.session != nil || c.token != nil }

func (u *user) name() string {
	if u.FullName == nil {
		return ""
	}
	return *u.FullName
}

// digest tells rows that differ apart. Most changes of an account, such as the use of a passkey, change no row.
func (u *user) digest() int64 {
	h := fnv.New64a()
	shown := *u
	shown.Unannounced = nil
	// A user marshals without fail; if it did not, the rows would be written once more than needed.
	if err := jsonv2.MarshalWrite(h, shown); err != nil {
		return time.Now().UnixNano()
	}
	return int64(h.Sum64())
}

// Texts are kept together with a character between them that no part of a text can hold.
const separator = "\x1f"

// Searchable puts s into the form in which texts are kept and looked for.
func Searchable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0 || r == rune(separator[0]) {
			return '\uFFFD'
		}
		return r
	}, strings.ToLower(s))
}

// text returns what searchValue looks through, empty if there is nothing.
func (u *user) text() (string, bool) {
	var texts []string
	if u.FullName != nil {
		texts = append(texts, Searchable(*u.FullName))
	}
	for _, i := range u.Identifiers {
		texts = append(texts, Searchable(i.Value))
	}
	return strings.Join(texts, separator), len(texts) > 0
}

// Number returns the number in an ID, which orders rows that nothing else does. The largest have 19 digits and turn negative, which
// orders them as well as anything.
func number(id string) int64 {
	digits := id[strings.LastIndexByte(id, '-')+1:]
	n, _ := strconv.ParseUint(digits, 10, 64)
	return int64(n)
}

// IdentifierKeys returns the keys that value has as an identifier of each type.
func IdentifierKeys(value string) []IdentifierKey {
	types := []account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone, account.IdentifierTypeUsername}
	keys := make([]IdentifierKey, len(types))
	for i, kind := range types {
		keys[i] = IdentifierKey{kind, account.IdentifierKey(kind, value)}
	}
	return slices.Clip(keys)
}

// IdentifierKey is what makes a value unique among identifiers of a type.
type IdentifierKey struct {
	Kind account.IdentifierType
	Key  string
}
