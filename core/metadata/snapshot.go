package metadata

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"
)

// Snapshot is what one blob says. It is immutable.
type Snapshot struct {
	Number     int       // of the blob; each has a greater one than the one before
	Revision   string    // the beginning of the SHA-256 of what it says
	NextUpdate time.Time // when there is another one at the latest
	Faulty     int       // models of which it says what cannot be read: they are unknown

	models map[uuid.UUID]*Model
	byKey  map[string]*Model // by the identifier of a key that attests, in hexadecimal; of authenticators without an AAGUID
}

// Model is what is said of a model of authenticators.
type Model struct {
	// Entry holds what attestation is verified with, and nothing else.
	Entry   *metadata.Entry
	Reports []Report
}

// Report says what has become of a model.
type Report struct {
	Status metadata.AuthenticatorStatus `json:"status"`
	// From which day on, and before which; zero = it holds, and goes on to
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// SHA-256 of certificates: it holds for authenticators alone whose attestation has one of them; empty = for all
	Certificates [][sha256.Size]byte `json:"certificates,omitempty"`
}

// revision is how many bytes of a hash name a blob.
const revision = 6

// read reads what was signed. A model that cannot be read is left out, and counted.
func read(payload []byte) (*Snapshot, error) {
	var said struct {
		Number     int               `json:"no"`
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"` // each by itself: one that is wrong takes the others from nobody
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	next, err := time.Parse(time.DateOnly, said.NextUpdate)
	if err != nil {
		return nil, fmt.Errorf("%w: nextUpdate: %w", ErrForm, err)
	}
	if said.Number < 1 {
		return nil, fmt.Errorf("%w: no: must be at least 1", ErrForm)
	}
	sum := sha256.Sum256(payload)
	s := &Snapshot{
		Number: said.Number, Revision: hex.EncodeToString(sum[:revision]), NextUpdate: next,
		models: make(map[uuid.UUID]*Model, len(said.Entries)), byKey: map[string]*Model{},
	}
	for _, text := range said.Entries {
		entry, err := readEntry(text)
		if err != nil {
			s.Faulty++
			continue
		}
		s.add(&entry)
	}
	return s, nil
}

func readEntry(text []byte) (metadata.Entry, error) {
	var said metadata.EntryJSON
	if err := json.Unmarshal(text, &said); err != nil {
		return metadata.Entry{}, err
	}
	return said.Parse()
}

func (s *Snapshot) add(e *metadata.Entry) {
	m := &Model{Entry: &metadata.Entry{AaGUID: e.AaGUID, MetadataStatement: metadata.Statement{
		AaGUID: e.MetadataStatement.AaGUID, ProtocolFamily: e.MetadataStatement.ProtocolFamily,
		AttestationTypes:            e.MetadataStatement.AttestationTypes,
		AttestationRootCertificates: e.MetadataStatement.AttestationRootCertificates,
		AuthenticatorGetInfo: metadata.AuthenticatorGetInfo{
			AaGUID: e.MetadataStatement.AuthenticatorGetInfo.AaGUID, AttestationFormats: e.MetadataStatement.AuthenticatorGetInfo.AttestationFormats,
		},
	}}}
	for i := range e.StatusReports {
		m.Reports = append(m.Reports, reportOf(&e.StatusReports[i]))
	}
	if e.AaGUID != uuid.Nil {
		s.models[e.AaGUID] = m
	}
	for _, key := range e.AttestationCertificateKeyIdentifiers {
		s.byKey[strings.ToLower(key)] = m
	}
}

func reportOf(said *metadata.StatusReport) Report {
	r := Report{Status: said.Status}
	if said.EffectiveDate != nil {
		r.From = *said.EffectiveDate
	}
	if said.SunsetDate != nil {
		r.Until = *said.SunsetDate
	}
	if said.Certificate != nil {
		r.Certificates = append(r.Certificates, sha256.Sum256(said.Certificate.Raw))
	}
	if said.BatchCertificate != nil {
		r.Certificates = append(r.Certificates, sha256.Sum256(said.BatchCertificate.Raw))
	}
	return r
}

// Model returns what is said of a model; nil of one that is unknown. That of zeros is no model (W3C WebAuthn §6.5.1).
func (s *Snapshot) Model(aaguid uuid.UUID) *Model {
	if s == nil || aaguid == uuid.Nil {
		return nil
	}
	return s.models[aaguid]
}

// ModelByKey returns what is said of the model whose attestation is signed with a key of that identifier; nil if there is none.
func (s *Snapshot) ModelByKey(identifier string) *Model {
	if s == nil {
		return nil
	}
	return s.byKey[strings.ToLower(identifier)]
}

// Models returns how many models something is said of.
func (s *Snapshot) Models() int { return len(s.models) + len(s.byKey) }

// Reports returns what has become of every model that has an AAGUID, by that.
func (s *Snapshot) Reports() Reports {
	if s == nil {
		return nil
	}
	all := make(Reports, len(s.models))
	for aaguid, m := range s.models {
		all[aaguid.String()] = m.Reports
	}
	return all
}
