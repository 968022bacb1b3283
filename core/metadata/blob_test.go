package metadata_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
)

// now is a moment in which the certificates of the tests are valid.
var now = time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)

const (
	name  = "mds.example.com"
	model = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
)

func trust(s *metadatatest.Service) metadata.Trust {
	return metadata.Trust{Roots: []*x509.Certificate{s.Root.Certificate}, Name: name}
}

func TestWhatTheServiceHasSignedIsTaken(t *testing.T) {
	t.Parallel()
	s := metadatatest.New(t, name, now)
	blob := s.Blob(t, 42, now.Add(24*time.Hour), metadatatest.Model(model, nil, "FIDO_CERTIFIED_L2"), metadatatest.Entry{"aaguid": "none"})
	for what, text := range map[string][]byte{"as it is": blob, "with a line break": append(bytes.Clone(blob), '\n')} {
		said, err := metadata.Verify(text, trust(s), now)
		if err != nil || said.Number != 42 || said.Faulty != 1 || said.Models() != 1 || said.Revision == "" {
			t.Fatalf("%s: %+v, %v", what, said, err)
		}
		if got := said.Of(strings.ToUpper(model), nil, now); got != (metadata.Standing{Status: metadata.OK, Level: 3}) {
			t.Errorf("%s: the model is %+v", what, got)
		}
	}
}

// One model of which nobody can make sense takes the others, among them those that were revoked, from nobody.
func TestAModelThatCannotBeReadIsUnknownAlone(t *testing.T) {
	t.Parallel()
	s := metadatatest.New(t, name, now)
	for what, faulty := range map[string]metadatatest.Entry{
		"an identifier that is none":         {"aaguid": "none"},
		"an identifier that is a number":     {"aaguid": 7},
		"reports that are no list":           {"aaguid": "0bb43545-fd2c-4185-87dd-feb0b2916ace", "statusReports": "REVOKED"},
		"a statement that is no object":      {"aaguid": "0bb43545-fd2c-4185-87dd-feb0b2916ace", "metadataStatement": []int{1}},
		"a version that is too great":        {"metadataStatement": map[string]any{"authenticatorVersion": 1e30}},
		"identifiers of keys, one a number":  {"attestationCertificateKeyIdentifiers": []any{"00", 1}},
		"a member of a report that is false": {"statusReports": []any{map[string]any{"status": false}}},
	} {
		blob := s.Blob(t, 1, now.Add(time.Hour), faulty, metadatatest.Model(model, nil, "REVOKED"))
		said, err := metadata.Verify(blob, trust(s), now)
		if err != nil {
			t.Errorf("%s: nothing of it is taken: %v", what, err)
			continue
		}
		if said.Faulty != 1 || said.Models() != 1 || said.Of(model, nil, now).Status != metadata.Revoked {
			t.Errorf("%s: %d faulty, %d models, the other is %+v", what, said.Faulty, said.Models(), said.Of(model, nil, now))
		}
	}
}

func TestWhatIsSignedWithRSAIsTaken(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := metadatatest.New(t, name, now)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, SerialNumber: big.NewInt(7), NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.Between.Certificate, key.Public(), s.Between.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.Leaf = metadatatest.Certificate{Certificate: &x509.Certificate{Raw: der}, Key: crypto.Signer(key)}
	payload := metadatatest.Payload(t, 1, now)
	if _, err := metadata.Verify(s.Sign(t, payload, map[string]any{"alg": "RS256"}), trust(s), now); err != nil {
		t.Error(err)
	}
	if _, err := metadata.Verify(s.Sign(t, payload, nil), trust(s), now); !errors.Is(err, metadata.ErrSignature) {
		t.Errorf("with the algorithm of another key: %v", err)
	}
}

func TestWhatNobodyHasSignedWhoIsTrustedIsRefused(t *testing.T) {
	t.Parallel()
	s, forger := metadatatest.New(t, name, now), metadatatest.New(t, name, now)
	payload := metadatatest.Payload(t, 1, now.Add(24*time.Hour))
	good := s.Sign(t, payload, nil)
	parts := strings.Split(string(good), ".")
	other := base64.RawURLEncoding.EncodeToString(metadatatest.Payload(t, 2, now))
	elsewhere := *s
	elsewhere.Leaf = metadatatest.Certify(t, &x509.Certificate{DNSNames: []string{"www.example.com"}}, &s.Between, now)
	own := *s // signed by a leaf, which is no authority
	own.Leaf = metadatatest.Certify(t, &x509.Certificate{DNSNames: []string{name}}, &s.Leaf, now)
	for what, tc := range map[string]struct {
		blob []byte
		at   time.Time
		want error
	}{
		"another root": {forger.Sign(t, payload, nil), now, metadata.ErrChain},
		"another root behind the chain": {
			forger.Sign(t, payload, map[string]any{"x5c": [][]byte{s.Leaf.Raw, s.Between.Raw}}), now, metadata.ErrSignature,
		},
		"another payload":                {[]byte(parts[0] + "." + other + "." + parts[2]), now, metadata.ErrSignature},
		"no signature":                   {[]byte(parts[0] + "." + parts[1] + "."), now, metadata.ErrSignature},
		"an algorithm that signs naught": {s.Sign(t, payload, map[string]any{"alg": "none"}), now, metadata.ErrAlgorithm},
		"a shared key's algorithm":       {s.Sign(t, payload, map[string]any{"alg": "HS256"}), now, metadata.ErrAlgorithm},
		"no chain":                       {s.Sign(t, payload, map[string]any{"x5c": nil}), now, metadata.ErrChain},
		"a leaf alone":                   {s.Sign(t, payload, map[string]any{"x5c": [][]byte{s.Leaf.Raw}}), now, metadata.ErrChain},
		"a chain the other way round": {
			s.Sign(t, payload, map[string]any{"x5c": [][]byte{s.Between.Raw, s.Leaf.Raw}}), now, metadata.ErrChain,
		},
		"the root before its authority": {
			s.Sign(t, payload, map[string]any{"x5c": [][]byte{s.Leaf.Raw, s.Root.Raw, s.Between.Raw}}), now, metadata.ErrChain,
		},
		"a chain of what is none": {s.Sign(t, payload, map[string]any{"x5c": []string{"AAAA"}}), now, metadata.ErrChain},
		"a chain without end":     {s.Sign(t, payload, map[string]any{"x5c": make([][]byte, 11)}), now, metadata.ErrChain},
		"a chain elsewhere":       {s.Sign(t, payload, map[string]any{"x5u": "https://example.com"}), now, metadata.ErrForm},
		"a critical member":       {s.Sign(t, payload, map[string]any{"crit": []string{"exp"}}), now, metadata.ErrForm},
		"another name":            {elsewhere.Sign(t, payload, nil), now, metadata.ErrName},
		"a leaf of a leaf": {
			own.Sign(t, payload, map[string]any{"x5c": [][]byte{own.Leaf.Raw, s.Leaf.Raw, s.Between.Raw}}), now, metadata.ErrChain,
		},
		"a chain that has expired":      {good, now.Add(400 * 24 * time.Hour), metadata.ErrChain},
		"a chain that is not valid yet": {good, now.Add(-400 * 24 * time.Hour), metadata.ErrChain},
		"half of it":                    {good[:len(good)/2], now, metadata.ErrForm},
		"all but the last bytes":        {good[:len(good)-4], now, metadata.ErrSignature},
		"nothing":                       {nil, now, metadata.ErrForm},
		"40 MB":                         {bytes.Repeat([]byte("a"), 40<<20), now, metadata.ErrTooLarge},
		"no number":                     {s.Sign(t, []byte(`{"nextUpdate":"2026-01-01","entries":[]}`), nil), now, metadata.ErrForm},
		"no date":                       {s.Sign(t, []byte(`{"no":1,"entries":[]}`), nil), now, metadata.ErrForm},
		"no JSON":                       {s.Sign(t, []byte(`{`), nil), now, metadata.ErrForm},
	} {
		said, err := metadata.Verify(tc.blob, trust(s), tc.at)
		if !errors.Is(err, tc.want) || said != nil {
			t.Errorf("%s: %v, want %v", what, err, tc.want)
		}
	}
	if _, err := metadata.Verify(good, metadata.Trust{}, now); !errors.Is(err, metadata.ErrChain) {
		t.Errorf("by the root that is believed without another: %v", err)
	}
}

func TestRootsAreReadAsPEM(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"none": "", "what is none": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		if roots, err := metadata.ReadRoots([]byte(text)); err == nil {
			t.Errorf("%s: %v", what, roots)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := metadatatest.New(f, name, now)
	f.Add(s.Blob(f, 1, now, metadatatest.Model(model, []metadatatest.Certificate{s.Root}, "REVOKED")))
	f.Add([]byte("e30.e30.e30"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		said, err := metadata.Verify(blob, trust(s), now)
		if (said == nil) == (err == nil) {
			t.Errorf("%v, %v", said, err)
		}
	})
}
