package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Ceremony is what the start of an assertion has to remember. Times are Unix ms.
type Ceremony struct {
	Known
	Process string
	RPID    string
	Origins []string // that the project accepts
	Allowed [][]byte // the WebAuthn IDs of the passkeys that may answer; empty = any of the user's
}

// Known is what an opened challenge says in words.
type Known struct {
	ID               ident.ChallengeID
	Created, Expires int64
	Environment      ident.EnvironmentID // may be empty
	Route            event.Route         // may be empty
	UserVerification string              // W3C WebAuthn userVerification
	SecondFactor     bool
	StepUp           ident.StepUpID   // that the login passes; may be empty
	Arm              *event.Arm       // by which the start was judged; nil = there was no canary
	Decision         ident.DecisionID // to offer it; empty = it was sealed by an earlier version

	// As detected; each is cut to maxText bytes.
	OS, OSVersion, Browser, BrowserVersion string
}

// Opened is what a challenge holds.
type Opened struct {
	Known
	ByEvent     bool // the event that ends the ceremony spends it; otherwise a mark does
	salt        salt
	process     digest
	rpID        digest
	withProcess bool
	origins     []byte // digests, one after the other
	allowed     []byte
}

// HasProcess reports whether the ceremony was started in a process.
func (o *Opened) HasProcess() bool { return o.withProcess }

// InProcess reports whether the ceremony was started in this process.
func (o *Opened) InProcess(process string) bool {
	return o.withProcess == (process != "") && o.process == o.salt.digest(ofProcess, process)
}

// For reports whether the ceremony was started with this RP ID.
func (o *Opened) For(rpID string) bool { return o.rpID == o.salt.digest(ofRPID, rpID) }

// From reports whether the project accepted this origin when the ceremony was started.
func (o *Opened) From(origin string) bool { return o.salt.in(o.origins, ofOrigin, origin) }

// Allows reports whether a passkey may answer.
func (o *Opened) Allows(credentialID []byte) bool {
	return len(o.allowed) == 0 || o.salt.in(o.allowed, ofCredential, string(credentialID))
}

// digest is a hash of what a ceremony is bound to.
type digest [6]byte

// What digests are of. Each kind has hashes of its own.
const (
	ofProcess byte = iota
	ofRPID
	ofOrigin
	ofCredential
)

// salt is the ID of a ceremony.
type salt [8]byte

func (s salt) digest(of byte, text string) (d digest) {
	const usual = 128 // bytes
	b := append(make([]byte, 0, usual), s[:]...)
	b = append(b, of)
	b = append(b, text...)
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

func (s salt) in(list []byte, of byte, text string) bool {
	wanted := s.digest(of, text)
	for each := range slices.Chunk(list, len(wanted)) {
		if bytes.Equal(each, wanted[:]) {
			return true
		}
	}
	return false
}

// maxText is how much of what was detected a challenge carries, in bytes.
const maxText = 64

// The prefixes of IDs, of which the state carries the numbers.
const (
	ceremonyPrefix    = "was-"
	environmentPrefix = "env-"
	stepUpPrefix      = "stu-"
)

// What is not always there. Whoever does not know a flag refuses the ceremony, of which it could not heed all that was sealed. Instances of
// a version and of the one before finish each other's ceremonies while one takes the other's place, so a flag is read for one release
// before anything sets it.
const (
	flagProcess byte = 1 << iota
	flagEnvironment
	flagSecondFactor
	flagStepUp
	flagArm
	flagDecision
	flagsKnown = flagProcess | flagEnvironment | flagSecondFactor | flagStepUp | flagArm | flagDecision
)

// routes, verifications and sides have their places in these lists as their numbers in a state.
func routes() []event.Route { return []event.Route{"", event.Local, event.CDA, event.SecurityKey} }

func sides() []event.Side { return []event.Side{event.Base, event.Canary} }

func verifications() []string { return []string{"", "required", "preferred", "discouraged"} }

// append writes the state: the salt, flags, the route and the verification, times, hashes, texts and lists.
func (c *Ceremony) append(b []byte) ([]byte, error) {
	id, err := number(ceremonyPrefix, string(c.ID))
	if err != nil {
		return nil, err
	}
	route, verification := slices.Index(routes(), c.Route), slices.Index(verifications(), c.UserVerification)
	if route < 0 || verification < 0 || c.Created < 0 || c.Expires < c.Created {
		return nil, fmt.Errorf(
			"no challenge can say route %q, verification %q, times %d to %d", c.Route, c.UserVerification, c.Created, c.Expires,
		)
	}
	var s salt
	binary.BigEndian.PutUint64(s[:], id)
	b = append(b, s[:]...)
	b = append(b, c.flags(), byte(route), byte(verification))
	if c.Environment != "" {
		environment, err := number(environmentPrefix, string(c.Environment))
		if err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint64(b, environment)
	}
	if c.StepUp != "" {
		stepUp, err := number(stepUpPrefix, string(c.StepUp))
		if err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint64(b, stepUp)
	}
	if b, err = appendArm(b, c.Arm); err != nil {
		return nil, err
	}
	b = appendDecision(b, c.Decision)
	b = binary.AppendUvarint(b, uint64(c.Created))
	b = binary.AppendUvarint(b, uint64(c.Expires-c.Created))
	b = appendDigest(b, s, ofProcess, c.Process)
	b = appendDigest(b, s, ofRPID, c.RPID)
	for _, text := range []string{c.OS, c.OSVersion, c.Browser, c.BrowserVersion} {
		text = clip(text)
		b = append(append(b, byte(len(text))), text...)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Origins)))
	for _, origin := range c.Origins {
		b = appendDigest(b, s, ofOrigin, origin)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Allowed)))
	for _, id := range c.Allowed {
		b = appendDigest(b, s, ofCredential, string(id))
	}
	return b, nil
}

func (c *Ceremony) flags() byte {
	var flags byte
	if c.Process != "" {
		flags |= flagProcess
	}
	if c.Environment != "" {
		flags |= flagEnvironment
	}
	if c.SecondFactor {
		flags |= flagSecondFactor
	}
	if c.StepUp != "" {
		flags |= flagStepUp
	}
	if c.Arm != nil {
		flags |= flagArm
	}
	if _, _, told := c.Decision.Parts(); told {
		flags |= flagDecision
	}
	return flags
}

func appendArm(b []byte, a *event.Arm) ([]byte, error) {
	if a == nil {
		return b, nil
	}
	side := slices.Index(sides(), a.Side)
	if side < 0 || a.Change < 0 {
		return nil, fmt.Errorf("no challenge can say the arm %q of change %d", a.Side, a.Change)
	}
	return binary.AppendUvarint(append(b, byte(side)), uint64(a.Change)), nil
}

// appendDecision writes the two numbers of an ID. One of another form, which no decision has, is left out.
func appendDecision(b []byte, id ident.DecisionID) []byte {
	ms, rest, told := id.Parts()
	if !told {
		return b
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, ms), rest)
}

func appendDigest(b []byte, s salt, of byte, text string) []byte {
	d := s.digest(of, text)
	return append(b, d[:]...)
}

// number returns the number of an ID. One that cannot be made again from its number is an error.
func number(prefix, id string) (uint64, error) {
	digits := strings.TrimPrefix(id, prefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	var room [20]byte // as many as there can be
	if err != nil || len(digits) == len(id) || string(strconv.AppendUint(room[:0], n, 10)) != digits {
		return 0, fmt.Errorf("no challenge can say the ID %q", id)
	}
	return n, nil
}

// clip cuts text between two characters.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}

// parse reads a state. What only this package can have sealed is read as if it had come from outside: a later version may have sealed it.
func parse(state []byte) (Opened, error) {
	r := reader{left: state}
	var o Opened
	copy(o.salt[:], r.bytes(len(o.salt)))
	o.ID = ident.ChallengeID(ceremonyPrefix + strconv.FormatUint(binary.BigEndian.Uint64(o.salt[:]), 10))
	flags := r.byte()
	r.bad = r.bad || flags&^flagsKnown != 0
	o.withProcess, o.SecondFactor = flags&flagProcess != 0, flags&flagSecondFactor != 0
	o.Route, o.UserVerification = oneOf(&r, routes()), oneOf(&r, verifications())
	if flags&flagEnvironment != 0 {
		o.Environment = ident.EnvironmentID(r.id(environmentPrefix))
	}
	if flags&flagStepUp != 0 {
		o.StepUp = ident.StepUpID(r.id(stepUpPrefix))
	}
	if flags&flagArm != 0 {
		o.Arm = &event.Arm{Side: oneOf(&r, sides()), Change: int(r.time())}
	}
	if flags&flagDecision != 0 {
		o.Decision = ident.DecisionOf(uint64(r.time()), uint64(r.time()))
	}
	o.Created = r.time()
	o.Expires = o.Created + r.time()
	r.bad = r.bad || o.Expires < o.Created
	copy(o.process[:], r.bytes(len(o.process)))
	copy(o.rpID[:], r.bytes(len(o.rpID)))
	for _, text := range []*string{&o.OS, &o.OSVersion, &o.Browser, &o.BrowserVersion} {
		*text = r.text()
	}
	o.origins, o.allowed = r.digests(), r.digests()
	if r.bad || len(r.left) > 0 {
		return Opened{}, ErrForged
	}
	return o, nil
}

// reader takes a state apart. Once something is bad, everything is.
type reader struct {
	left []byte
	bad  bool
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n > len(r.left) {
		r.bad = true
		return nil
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// id reads the number of an ID with this prefix.
func (r *reader) id(prefix string) string {
	var number [8]byte
	copy(number[:], r.bytes(len(number)))
	return prefix + strconv.FormatUint(binary.BigEndian.Uint64(number[:]), 10)
}

// uvarint reads a number in its shortest form.
func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.left)
	if r.bad || size <= 0 || size > 1 && r.left[size-1] == 0 {
		r.bad = true
		return 0
	}
	r.left = r.left[size:]
	return n
}

func (r *reader) time() int64 {
	n := r.uvarint()
	r.bad = r.bad || int64(n) < 0
	return int64(n)
}

func (r *reader) text() string {
	n := int(r.byte())
	r.bad = r.bad || n > maxText
	return string(r.bytes(n))
}

func (r *reader) digests() []byte {
	n := r.uvarint()
	if n > MaxLength {
		r.bad = true
		return nil
	}
	return r.bytes(int(n) * len(digest{}))
}

// oneOf reads the place of a word in a list.
func oneOf[T any](r *reader, words []T) (word T) {
	place := int(r.byte())
	if place >= len(words) {
		r.bad = true
		return word
	}
	return words[place]
}
