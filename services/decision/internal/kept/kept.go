// Package kept is what a decision record keeps of a question, so that other parameters can find its facts anew: what the client said, what
// the account had, and which of the user's events had been read. It promises that detection and the fold make the same of what is restored
// as of what was asked; of an address it keeps the network alone, and of what names a browser nothing. It is pure.
package kept

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Schema is the version of records that keep a question. Those of the version before say nothing of their version.
const Schema = 2

// Question is what was asked, and what was looked up for it. What stands in the record beside it is not repeated: project, user, process
// and time.
type Question struct {
	Client       rest.ClientInformation                 `json:"client"`             // its remote address is a network, or empty
	Nameless     bool                                   `json:"nameless,omitempty"` // the remote address was left out
	Environment  service.Environment                    `json:"environment"`
	Frontend     bool                                   `json:"frontend,omitempty"` // records of before do not say
	LookupFailed bool                                   `json:"lookupFailed,omitempty"`
	Strategy     rest.CrossDeviceAuthenticationStrategy `json:"strategy,omitempty"`  // of a login
	Source       event.Source                           `json:"source,omitempty"`    // of a login; empty = its caller did not say
	Flags        *rest.PasskeyIntelFlags                `json:"flags,omitempty"`     // of an append start, as the situation
	Situation    string                                 `json:"situation,omitempty"` // empty = that which detection takes then
	Account      *Account                               `json:"account,omitempty"`   // nil = there was no such user, or none was asked about
	Read         *Read                                  `json:"read,omitempty"`      // nil = no history was looked up, or it could not be
	Finish       *Finish                                `json:"finish,omitempty"`    // of the end of a ceremony
	Asked        *Asked                                 `json:"asked,omitempty"`     // of what is no ceremony
	// What it is counted by, in tokens that name nobody to who has no key of the project; nil in records of before
	Sighted *event.Sighted `json:"sighted,omitempty"`
}

// Asked is what was asked about that is no ceremony. What its caller added is in the facts.
type Asked struct {
	Action   string            `json:"action"`
	Resource *service.Resource `json:"resource,omitempty"`
}

// KeepAsked returns what is kept of what is no ceremony.
func KeepAsked(q *service.EvaluateQuestion) *Asked {
	return &Asked{Action: q.Action, Resource: q.Resource}
}

// Finish is what ended a ceremony. Of a passkey it has what Passkey has not.
type Finish struct {
	Passkey
	UV          bool                   `json:"uv"`
	Login       *service.FinishedLogin `json:"login,omitempty"` // nil of a creation
	Conditional bool                   `json:"conditional,omitempty"`
	Proof       bool                   `json:"proof,omitempty"` // it was the further proof of something else
}

// KeepFinish returns what is kept of what ended a ceremony.
func KeepFinish(q *service.FinishQuestion, standing Standing) *Finish {
	return &Finish{
		Passkey: passkey(&q.Passkey, standing), UV: q.UV, Login: q.Login, Conditional: q.Conditional, Proof: q.Proof,
	}
}

// Restore puts into a question what had ended the ceremony.
func (f *Finish) Restore(q *service.FinishQuestion) {
	q.Passkey = f.Passkey.credential()
	q.UV, q.Login, q.Conditional, q.Proof = f.UV, f.Login, f.Conditional, f.Proof
}

// Account is what was known of the user.
type Account struct {
	Status   account.Status      `json:"status"`
	Passkeys []Passkey           `json:"passkeys,omitempty"`
	Deleted  []account.Tombstone `json:"deleted,omitempty"`
	// When it was made, in Unix ms; records from before there were rules of risk do not say
	CreatedMs int64    `json:"createdMs,omitempty"`
	Labels    []string `json:"labels,omitempty"` // records from before there were any have none
}

// Passkey is what detection and the fold read of a credential.
type Passkey struct {
	ID             ident.CredentialID  `json:"id"`
	CredentialID   []byte              `json:"credentialID"`
	AAGUID         string              `json:"aaguid"`
	Transports     []string            `json:"transports,omitempty"`
	Attachment     string              `json:"attachment,omitempty"`
	BackupEligible bool                `json:"backupEligible"`
	CreatedOS      string              `json:"createdOS"`
	CreatedBrowser string              `json:"createdBrowser"`
	Environment    ident.EnvironmentID `json:"environment,omitempty"`
	CreatedMs      int64               `json:"createdMs"`
	UsedOn         []string            `json:"usedOn,omitempty"`
	// This and what follows: records from before rules read them of each passkey have them of a finish alone, and say nothing of counters
	BackupState  bool  `json:"backupState,omitempty"`
	LastUsedMs   int64 `json:"lastUsedMs,omitempty"`
	Counts       bool  `json:"counts,omitempty"` // its signature counter is not 0
	CloneWarning bool  `json:"cloneWarning,omitempty"`
	// What its authenticator said of itself, and what had become of its model; empty = nothing, and nothing was known
	Attested account.Trust   `json:"attested,omitempty"`
	Format   string          `json:"format,omitempty"`
	Status   metadata.Status `json:"status,omitempty"`
	Level    int             `json:"level,omitempty"`
}

// Read is which of the user's events had been read: how many, and the exclusive or of the FNV-1a hashes of their IDs. Offers of the process
// are kept themselves, since their stream drops them early.
type Read struct {
	Events int     `json:"events"`
	Hash   string  `json:"hash"` // 16 hexadecimal digits
	Offers []Offer `json:"offers,omitempty"`
}

// Offer is a login that the process was offered.
type Offer struct {
	ID        ident.EventID     `json:"id"`
	Ceremony  ident.ChallengeID `json:"ceremony,omitempty"`
	Challenge string            `json:"challenge,omitempty"`
	CreatedMs int64             `json:"createdMs"`
}

// Plan says which tokens of what is seen are of use later; velocity.Plan is one.
type Plan interface {
	Worth(named *event.Sighted) *event.Sighted
}

// Worth leaves out what nobody reads later, and of an address what is not to be kept: where its text is not, its network's token is.
func (q *Question) Worth(by Plan, addresses address.Form) {
	named := q.Sighted
	q.Sighted = by.Worth(named)
	if addresses != address.Token || q.Client.RemoteAddress == "" {
		return
	}
	q.Client.RemoteAddress, q.Nameless = "", true
	if named == nil || named.Network == "" {
		return
	}
	worth := event.Sighted{KeyVersion: named.KeyVersion, KeySinceMs: named.KeySinceMs}
	if q.Sighted != nil {
		worth = *q.Sighted
	}
	worth.Network = named.Network
	q.Sighted = &worth
}

// Standing says what has become of the model of a passkey's authenticator; nil = nothing is known of any.
type Standing = func(*account.Credential) metadata.Standing

// Keep returns what is kept of a question. Nothing in it is changed when the account is.
func Keep(q *service.Question, standing Standing) *Question {
	whole := &struct { // at once: there is one for every decision
		Question
		account Account
	}{}
	k := &whole.Question
	k.Client, k.Environment, k.LookupFailed, k.Frontend = client(q.Client), q.Environment, q.LookupFailed, q.Frontend
	k.Sighted = q.Sighted
	if q.Account == nil {
		return k
	}
	k.Account = &whole.account
	*k.Account = Account{
		Status: q.Account.Status, Deleted: slices.Clone(q.Account.Deleted), CreatedMs: q.Account.CreatedMs, Labels: q.Account.Labels,
	}
	if len(q.Account.Credentials) > 0 {
		k.Account.Passkeys = make([]Passkey, len(q.Account.Credentials))
	}
	for i := range q.Account.Credentials {
		k.Account.Passkeys[i] = passkey(&q.Account.Credentials[i], standing)
	}
	return k
}

func passkey(c *account.Credential, standing Standing) Passkey {
	p := Passkey{
		ID:             c.ID,
		CredentialID:   c.CredentialID,
		AAGUID:         c.AAGUID,
		Transports:     c.Transports,
		Attachment:     c.Attachment,
		BackupEligible: c.BackupEligible,
		CreatedOS:      c.CreatedOS,
		CreatedBrowser: c.CreatedBrowser,
		Environment:    c.Environment,
		CreatedMs:      c.CreatedMs,
		UsedOn:         c.UsedOn,
		BackupState:    c.BackupState,
		LastUsedMs:     c.LastUsedMs,
		Counts:         c.SignCount > 0,
		CloneWarning:   c.CloneWarning,
	}
	if said := c.Attestation; said != nil {
		p.Attested, p.Format = said.Trust, said.Format
	}
	if standing == nil {
		return p
	}
	if is := standing(c); is.Status != metadata.Unknown {
		p.Status, p.Level = is.Status, is.Level
	}
	return p
}

// Standing returns what had become of the model of a passkey's authenticator.
func (q *Question) Standing(c *account.Credential) metadata.Standing {
	if q.Finish != nil && q.Finish.ID == c.ID {
		return q.Finish.standing()
	}
	if q.Account != nil {
		for i := range q.Account.Passkeys {
			if p := &q.Account.Passkeys[i]; p.ID == c.ID {
				return p.standing()
			}
		}
	}
	return metadata.Standing{Status: metadata.Unknown}
}

func (p *Passkey) standing() metadata.Standing {
	return metadata.Standing{Status: cmp.Or(p.Status, metadata.Unknown), Level: p.Level}
}

func (p *Passkey) credential() account.Credential {
	c := account.Credential{
		ID:             p.ID,
		CredentialID:   p.CredentialID,
		AAGUID:         p.AAGUID,
		Transports:     p.Transports,
		Attachment:     p.Attachment,
		BackupEligible: p.BackupEligible,
		CreatedOS:      p.CreatedOS,
		CreatedBrowser: p.CreatedBrowser,
		Environment:    p.Environment,
		CreatedMs:      p.CreatedMs,
		UsedOn:         p.UsedOn,
		BackupState:    p.BackupState,
		LastUsedMs:     p.LastUsedMs,
		CloneWarning:   p.CloneWarning,
	}
	if p.Counts {
		c.SignCount = 1
	}
	if p.Attested != "" {
		c.Attestation = &account.Attestation{Trust: p.Attested, Format: p.Format}
	}
	return c
}

// client leaves out what tells one browser or device from all others: the handle is a secret, and detection reads none of it.
func client(c rest.ClientInformation) rest.ClientInformation {
	c.ClientEnvHandle, c.ClientEnvHandleMeta, c.JavascriptFingerprint, c.VisitorID = nil, nil, nil, nil
	c.UserAgent = c.UserAgent[:min(len(c.UserAgent), recognition.MaxUserAgent)]
	c.RemoteAddress = network(c.RemoteAddress)
	return c
}

func network(remote string) string {
	return address.NetworkOf(remote)
}

// Network returns the network that the client asked from; zero if it is not known.
func (q *Question) Network() netip.Prefix {
	within, err := netip.ParsePrefix(q.Client.RemoteAddress)
	if err != nil {
		return netip.Prefix{}
	}
	return within
}

// Restore returns the question as far as it was kept. The client's address is the first of its network.
func (q *Question) Restore(project ident.ProjectID, user ident.UserID, process string) service.Question {
	restored := service.Question{
		Project: project, Process: process, Client: q.Client, Environment: q.Environment, LookupFailed: q.LookupFailed,
		Frontend: q.Frontend, Sighted: q.Sighted,
	}
	restored.Client.RemoteAddress = ""
	if within := q.Network(); within.IsValid() {
		restored.Client.RemoteAddress = within.Addr().String()
	}
	if q.Account == nil {
		return restored
	}
	a := &account.Account{Project: project, ID: user, Status: q.Account.Status, Deleted: q.Account.Deleted, CreatedMs: q.Account.CreatedMs}
	a.Labels = q.Account.Labels
	for i := range q.Account.Passkeys {
		a.Credentials = append(a.Credentials, q.Account.Passkeys[i].credential())
	}
	restored.Account = a
	return restored
}

// NewRead returns which events were read, and the offers of the process among those that were. It is shared, and must not be changed.
func NewRead(events event.Set, offers []event.Event, process string) *Read {
	all := event.Derived(events, readOf)
	if len(offers) == 0 || process == "" {
		return all
	}
	r := *all
	for i := range offers {
		if o := &offers[i]; o.Process == process && o.Type == event.LoginOffered {
			r.Offers = append(r.Offers, Offer{ID: o.ID, Ceremony: o.Ceremony, Challenge: o.Challenge, CreatedMs: o.CreatedMs})
		}
	}
	return &r
}

func readOf(events event.Set) *Read {
	seen := events.Tally()
	return &Read{Events: seen.Events, Hash: seen.Hash()}
}

// Restored returns the offers as events of the process.
func (r *Read) Restored(process string) []event.Event {
	offers := make([]event.Event, len(r.Offers))
	for i, o := range r.Offers {
		offers[i] = event.Event{
			ID: o.ID, Type: event.LoginOffered, Process: process, Ceremony: o.Ceremony, Challenge: o.Challenge, CreatedMs: o.CreatedMs,
		}
	}
	return offers
}

// Within returns the part of the log that had been read. Whoever reads sees what was appended before, so it is all up to some event; false
// if no such part has the events that were read, because some of them have been dropped or erased since. The log is in the order in which
// it was appended, deletions included.
func (r *Read) Within(log []event.Event) ([]event.Event, bool) {
	var seen event.Tally
	there, gone := map[ident.EventID]bool{}, map[ident.EventID]bool{}
	end, found := 0, r.is(&seen)
	for i := range log {
		e := &log[i]
		switch {
		case e.Type == event.Deleted:
			if there[e.Deletes] {
				seen.Toggle(e.Deletes, -1)
			}
			gone[e.Deletes], there[e.Deletes] = true, false
		case !gone[e.ID] && !there[e.ID]:
			there[e.ID] = true
			seen.Toggle(e.ID, 1)
		}
		if r.is(&seen) {
			end, found = i+1, true
		}
	}
	return log[:end], found
}

func (r *Read) is(seen *event.Tally) bool { return seen.Events == r.Events && seen.Hash() == r.Hash }
