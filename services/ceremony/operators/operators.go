// Package operators has the WebAuthn ceremonies of operators, who add passkeys and sign in to the console with them. It verifies as the
// ceremonies of users do, by package relyingparty, and stores by core/operator; it touches nothing else.
//
// A challenge is known again by itself: it says until when it is good, and for what, under a code that the secret of the installation
// makes. So nothing is stored of a ceremony that is begun, however many are, and any gateway ends what another began. It is spent with the
// change of the operator that it leads to, in one conditional write.
package operators

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// Store keeps operators. operator.Store is one.
type Store interface {
	Find(ctx context.Context, id ident.OperatorID) (operator.Operator, error)
	SignInSecret(ctx context.Context) ([]byte, error)
	AddPasskey(ctx context.Context, of operator.Operator, p operator.Passkey, answered operator.Spent, now time.Time) error
	UsePasskey(
		ctx context.Context, id ident.OperatorID, credentialID []byte, answered operator.Spent, now time.Time,
		use func(*operator.Passkey) error,
	) (operator.Operator, error)
}

// Deps are what the ceremonies work with. All are required.
type Deps struct {
	Store        Store
	Console      operator.Console
	ChallengeTTL time.Duration
	Now          func() time.Time
	Log          *slog.Logger
}

// Ceremonies are those of operators. They may be shared.
type Ceremonies struct {
	Deps
	party *relyingparty.Party
}

// New returns the ceremonies at a console that takes passkeys.
func New(deps Deps) *Ceremonies {
	console := project.Project{ID: "console", RPID: deps.Console.RPID, RPName: "Keyward console"}
	return &Ceremonies{Deps: deps, party: relyingparty.New(console, []string{deps.Console.Origin()})}
}

// required is the user verification of every ceremony: a passkey takes the place of a token, and of a second factor beside it.
const required = "required"

// SignInOptions begins a sign-in.
func (c *Ceremonies) SignInOptions(ctx context.Context) (operator.PasskeyOptions, error) {
	drawn, until, err := c.draw(ctx, toSignIn)
	if err != nil {
		return operator.PasskeyOptions{}, err
	}
	value := base64.RawURLEncoding.EncodeToString(drawn)
	return operator.PasskeyOptions{JSON: c.party.Get(value, relyingparty.Request{UserVerification: required}), Expires: until}, nil
}

// errNobodys is told of whatever passkey signs nobody in, so that nobody learns which operators there are.
var errNobodys = fault.Login("the passkey is none of an operator's").Named("operator-passkey-nobodys")

// SignIn returns whom an answer to SignInOptions signs in.
func (c *Ceremonies) SignIn(ctx context.Context, answer string) (operator.Operator, error) {
	parsed, err := relyingparty.ParseAssertion(answer)
	if err != nil {
		return operator.Operator{}, fault.At("answer", err)
	}
	value, now := parsed.Response.CollectedClientData.Challenge, c.Now()
	spent, err := c.known(ctx, value, toSignIn, now)
	if err != nil {
		return operator.Operator{}, err
	}
	id, err := ident.ParseOperatorID(string(parsed.Response.UserHandle))
	if err != nil {
		return operator.Operator{}, errNobodys
	}
	given, err := c.party.Requested(value, required)
	if err != nil {
		return operator.Operator{}, err
	}
	by, err := c.Store.UsePasskey(ctx, id, parsed.RawID, spent, now, func(p *operator.Passkey) error {
		signer := c.account(id)
		signer.Credentials = []account.Credential{credential(p)}
		used, err := c.party.Verify(signer, given, true, parsed)
		if err != nil {
			return err
		}
		if relyingparty.CountSignature(&signer.Credentials[0], used.Counter) != relyingparty.Rose {
			p.CopiedMs = now.UnixMilli()
			return operator.ErrCopied
		}
		p.SignCount, p.BackupState, p.LastUsedMs = signer.Credentials[0].SignCount, used.BackupState, now.UnixMilli()
		return nil
	})
	var refused *fault.Refusal
	switch {
	case errors.Is(err, operator.ErrUnknown), errors.Is(err, operator.ErrNoPasskey), err == nil && by.Expired(now):
		return operator.Operator{}, errNobodys
	case errors.As(err, &refused):
		c.Log.WarnContext(ctx, "a passkey of an operator was refused", "operator", id, "why", refused.Error())
		return operator.Operator{}, fault.Login("the passkey is refused: %s", refused.Error()).Because(err)
	}
	return by, err
}

// AddOptions begins to add a passkey of an operator.
func (c *Ceremonies) AddOptions(ctx context.Context, of operator.Operator) (operator.PasskeyOptions, error) {
	drawn, until, err := c.draw(ctx, toAdd(of.ID))
	if err != nil {
		return operator.PasskeyOptions{}, err
	}
	owner := c.account(of.ID)
	var exclude []*account.Credential
	stored, err := c.Store.Find(ctx, of.ID)
	if err != nil && !errors.Is(err, operator.ErrUnknown) {
		return operator.PasskeyOptions{}, err
	}
	for i := range stored.Passkeys {
		had := credential(&stored.Passkeys[i])
		exclude = append(exclude, &had)
	}
	options, err := c.party.Create(owner, creation(of.Name, drawn, exclude))
	return operator.PasskeyOptions{JSON: options.JSON, Expires: until}, err
}

// Add stores the passkey that answers AddOptions.
func (c *Ceremonies) Add(ctx context.Context, of operator.Operator, name, answer string) (operator.Passkey, error) {
	parsed, err := relyingparty.ParseCreation(answer)
	if err != nil {
		return operator.Passkey{}, fault.At("answer", err)
	}
	value, now := parsed.Response.CollectedClientData.Challenge, c.Now()
	spent, err := c.known(ctx, value, toAdd(of.ID), now)
	if err != nil {
		return operator.Passkey{}, err
	}
	drawn, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return operator.Passkey{}, err // it was read before
	}
	owner := c.account(of.ID)
	begun, err := c.party.Create(owner, creation(of.Name, drawn, nil))
	if err != nil {
		return operator.Passkey{}, err
	}
	made, err := c.party.Register(owner, begun.Session, parsed)
	if err != nil {
		return operator.Passkey{}, fault.At("answer", err)
	}
	p := operator.Passkey{
		ID: ident.NewCredentialID(), Name: name, CredentialID: made.CredentialID, PublicKey: made.PublicKey, AAGUID: made.AAGUID,
		Transports: made.Transports, BackupEligible: made.BackupEligible, BackupState: made.BackupState, SignCount: made.SignCount,
		RPID: made.RPID, CreatedMs: now.UnixMilli(),
	}
	return p, c.Store.AddPasskey(ctx, of, p, spent, now)
}

func creation(name string, drawn []byte, exclude []*account.Credential) relyingparty.Creation {
	return relyingparty.Creation{Username: name, Exclude: exclude, UserVerification: required, Challenge: drawn}
}

// account is an operator as the relying party knows users: by the ID, which says nothing of who it is.
func (c *Ceremonies) account(id ident.OperatorID) account.Account {
	return account.Account{UserHandle: []byte(id)}
}

func credential(p *operator.Passkey) account.Credential {
	return account.Credential{
		ID: p.ID, CredentialID: p.CredentialID, PublicKey: p.PublicKey, AAGUID: p.AAGUID, Transports: p.Transports,
		BackupEligible: p.BackupEligible, BackupState: p.BackupState, UserVerified: true, SignCount: p.SignCount, RPID: p.RPID,
	}
}

// What a challenge is good for.
const toSignIn = "sign-in"

func toAdd(id ident.OperatorID) string { return "add " + string(id) }

// Of a challenge: what is drawn, when it expires in Unix ms, and the code.
const (
	drawnSize  = 16
	endOfTime  = drawnSize + 8
	valueBytes = endOfTime + sha256.Size
)

// draw returns a challenge for a purpose, and until when it is good.
func (c *Ceremonies) draw(ctx context.Context, purpose string) ([]byte, time.Time, error) {
	secret, err := c.Store.SignInSecret(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	until := c.Now().Add(c.ChallengeTTL)
	value := make([]byte, endOfTime, valueBytes)
	copy(value, challenge.Draw()[:drawnSize])
	binary.BigEndian.PutUint64(value[drawnSize:], uint64(until.UnixMilli()))
	return append(value, code(secret, purpose, value)...), until, nil
}

func code(secret []byte, purpose string, value []byte) []byte {
	sum := hmac.New(sha256.New, secret)
	sum.Write(value)
	sum.Write([]byte(purpose))
	return sum.Sum(nil)
}

// What may be wrong with a challenge.
var (
	errForeign = fault.Login("the answer is to no challenge that was given out for this; begin again").Named("operator-challenge-foreign")
	errLate    = fault.Login("the answer came too late; begin again").Named("operator-challenge-expired")
)

// known returns what spends a challenge that was given out for a purpose and is good still.
func (c *Ceremonies) known(ctx context.Context, text, purpose string, now time.Time) (operator.Spent, error) {
	secret, err := c.Store.SignInSecret(ctx)
	if err != nil {
		return operator.Spent{}, err
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(value) != valueBytes || !hmac.Equal(value[endOfTime:], code(secret, purpose, value[:endOfTime])) {
		return operator.Spent{}, errForeign
	}
	until := int64(binary.BigEndian.Uint64(value[drawnSize:endOfTime]))
	if now.UnixMilli() >= until {
		return operator.Spent{}, errLate
	}
	return operator.Spent{Challenge: text, UntilMs: until}, nil
}
