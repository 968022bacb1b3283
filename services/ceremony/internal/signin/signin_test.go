package signin_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
)

var (
	now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	key = ringOf("key of the project")
	ref = code.Ref{Project: "pro-1", User: "process"}
)

const user = ident.UserID("usr-1")

// entry is a sign-up with an address and a number, of which some have to be verified.
func entry(email, phone bool) signin.Entry {
	e := signin.Entry{Fields: []signin.Field{
		{Type: account.IdentifierTypeEmail, Value: "ada@example.com"}, {Type: account.IdentifierTypePhone, Value: "+4915112345678"},
	}}
	if email {
		e.Fields[0].Method = frontend.VerificationMethodEmailOtp
	}
	if phone {
		e.Fields[1].Method = frontend.VerificationMethodPhoneOtp
	}
	return e
}

func seal(id ident.CodeID, value string) code.Entry {
	e := code.Entry{ExpiresMs: now.Add(time.Minute).UnixMilli()}
	at := ref
	at.ID = id
	e.Seal(key, at, value)
	return e
}

func ringOf(root string) *keyring.Ring {
	ring, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: []byte(root)}})
	if err != nil {
		panic(err)
	}
	return ring
}

func given(value string) code.Attempt { return code.Attempt{Keys: key, Value: value, Now: now} }

// course is a process of which a test knows, from what was done and nothing else, whether its user is proven.
type course struct {
	state  signin.State
	needs  []account.IdentifierType // what a sign-up has still to verify
	proven bool
	code   string // that is right; empty = none
	wrong  int
	sent   int
}

// take keeps the next state, as it is after it was stored and read.
func (c *course) take(t *rapid.T, next signin.State, err error) bool {
	if err != nil && !errors.Is(err, signin.ErrPlace) {
		t.Fatal(err)
	}
	raw, fail := json.Marshal(next)
	if fail != nil {
		t.Fatal(fail)
	}
	var read signin.State
	if fail := json.Unmarshal(raw, &read); fail != nil {
		t.Fatal(fail)
	}
	before, fail := json.Marshal(c.state)
	if fail != nil {
		t.Fatal(fail)
	}
	if err != nil && string(before) != string(raw) {
		t.Fatal("a call that was refused has changed the state")
	}
	c.state = read
	return err == nil
}

func (c *course) signUp(t *rapid.T) {
	email, phone, faulty := rapid.Bool().Draw(t, "email"), rapid.Bool().Draw(t, "phone"), rapid.Bool().Draw(t, "faulty")
	e := entry(email, phone)
	if faulty {
		e = e.MarkTaken(account.IdentifierTypePhone)
	}
	next, err := c.state.SignUpWith(e)
	if !c.take(t, next, err) {
		return
	}
	c.code, c.needs = "", nil
	if email {
		c.needs = append(c.needs, account.IdentifierTypeEmail)
	}
	if phone {
		c.needs = append(c.needs, account.IdentifierTypePhone)
	}
	c.proven = !faulty && len(c.needs) == 0
}

func (c *course) logIn(t *rapid.T) {
	found := signin.Found{}
	if rapid.Bool().Draw(t, "known") {
		found.User = user
		if rapid.Bool().Draw(t, "passkey") {
			found.Offer = &signin.Offer{Options: "{}", Expires: now.Add(time.Minute).UnixMilli()}
		}
	}
	if rapid.Bool().Draw(t, "means") {
		found.Means = []signin.Means{{Type: account.IdentifierTypeEmail, Method: frontend.VerificationMethodEmailOtp, Value: "ada@example.com"}}
	}
	next, err := c.state.LogIn(signin.Typed{Value: "ada@example.com"}, found)
	if c.take(t, next, err) {
		c.code, c.needs, c.proven = "", nil, false
	}
}

func (c *course) send(t *rapid.T) {
	if rapid.Bool().Draw(t, "wait") {
		next, _ := c.state.Wait(now.Add(time.Minute))
		c.take(t, next, nil)
		return
	}
	c.sent++
	id := ident.CodeID("cha-" + string(rune('0'+c.sent%10)))
	next, ok := c.state.Sent(id, seal(id, "123456"))
	if c.take(t, next, nil); ok {
		c.code, c.wrong = "123456", 0
	}
}

func (c *course) attempt(t *rapid.T) {
	value := rapid.SampledFrom([]string{"123456", "000000"}).Draw(t, "value")
	method := rapid.SampledFrom([]frontend.VerificationMethod{frontend.VerificationMethodEmailOtp, frontend.VerificationMethodPhoneOtp}).
		Draw(t, "method")
	before := c.state
	next, err := c.state.Attempt(method, ref, given(value))
	if !c.take(t, next, err) {
		return
	}
	if c.code == "" {
		return
	}
	if value != c.code || c.wrong >= code.MaxWrong {
		c.wrong++
		return
	}
	c.code = ""
	kind := before.Current.Type
	c.needs = slices.DeleteFunc(c.needs, func(k account.IdentifierType) bool { return k == kind })
	c.proven = len(c.needs) == 0
}

func (c *course) known(t *rapid.T) signin.Known {
	return signin.Known{
		User: rapid.SampledFrom([]ident.UserID{user, "usr-2"}).Draw(t, "user"),
		Operation: frontend.PasskeyOperation{CeremonyType: rapid.SampledFrom([]frontend.CeremonyType{
			rest.CeremonyTypeLocal, rest.CeremonyTypeCDA,
		}).Draw(t, "ceremony")},
	}
}

func (c *course) correct(t *rapid.T) {
	f := signin.Field{
		Type:  rapid.SampledFrom([]account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone}).Draw(t, "type"),
		Value: "other@example.com",
	}
	if rapid.Bool().Draw(t, "faulty") {
		f.Problem = signin.ProblemTaken()
	}
	next, err := c.state.Correct(f)
	if c.take(t, next, err) && f.Problem == nil {
		c.code = "" // what was sent to the other value proves nothing of this one
	}
}

// plain makes an action of a transition that proves nothing.
func (c *course) plain(change func(signin.State) (signin.State, error)) func(*rapid.T) {
	return func(t *rapid.T) {
		next, err := change(c.state)
		c.take(t, next, err)
	}
}

func TestASessionComesOfAProofWhateverTheOrderOfCalls(t *testing.T) {
	t.Parallel()
	reached := map[signin.Phase]bool{}
	courses := func() {
		rapid.Check(t, func(t *rapid.T) {
			c := &course{state: signin.New(signin.Login, "seed", signin.Settings{})}
			t.Repeat(map[string]func(*rapid.T){
				"sign up": c.signUp, "log in": c.logIn, "send": c.send, "attempt": c.attempt, "correct": c.correct,
				"verify": c.plain(func(s signin.State) (signin.State, error) {
					return s.Verify(account.IdentifierTypeEmail, frontend.VerificationMethodEmailOtp)
				}),
				"passkey login": func(t *rapid.T) {
					by := c.known(t)
					asked := c.state.User
					next, err := c.state.LoggedIn(by)
					if c.take(t, next, err) {
						c.proven = by.User == asked
					}
				},
				"mediation": func(t *rapid.T) {
					next, err := c.state.Mediated(c.known(t))
					if c.take(t, next, err) {
						c.proven = true
					}
				},
				"failed mediation": c.plain(func(s signin.State) (signin.State, error) {
					return s.NotMediated("{}", signin.Unmediated{Problem: signin.ProblemPasskeyGone()})
				}),
				"taken": func(t *rapid.T) {
					next, err := c.state.Taken(account.IdentifierTypeEmail)
					if c.take(t, next, err) {
						c.proven, c.code = false, ""
					}
				},
				"joined":      c.plain(func(s signin.State) (signin.State, error) { return s.Joined(user) }),
				"offered":     c.plain(func(s signin.State) (signin.State, error) { return s.Offered(signin.Offer{Options: "{}"}) }),
				"not offered": c.plain(signin.State.NotOffered),
				"created":     c.plain(func(s signin.State) (signin.State, error) { return s.Created(frontend.PasskeyOperation{}, 0) }),
				"skip":        c.plain(signin.State.Skip),
				"complete":    c.plain(signin.State.Complete),
				"hand": func(t *rapid.T) {
					next, _ := c.state.Handed(now)
					c.take(t, next, nil)
				},
				"": func(t *rapid.T) { c.check(t, reached) },
			})
		})
	}
	courses()
	if testing.Short() {
		return // of a few courses none may come to a phase
	}
	all := []signin.Phase{
		signin.PasskeyLogin, signin.Verifying, signin.Joining, signin.Offering, signin.PasskeyAppend, signin.Appended, signin.Completing,
	}
	missed := func(phase signin.Phase) bool { return !reached[phase] }
	for range 50 { // a phase that one course in a hundred comes to is missed by a hundred of them now and then
		if !slices.ContainsFunc(all, missed) {
			return
		}
		courses()
	}
	t.Errorf("of the phases %v courses came to %v", all, reached)
}

func (c *course) check(t *rapid.T, reached map[signin.Phase]bool) {
	reached[c.state.Phase] = true
	inside := []signin.Phase{signin.Joining, signin.Offering, signin.PasskeyAppend, signin.Appended, signin.Completing}
	if slices.Contains(inside, c.state.Phase) != !c.state.Open() {
		t.Fatalf("in the phase %s with the proof %q", c.state.Phase, c.state.Proof)
	}
	if !c.state.Open() && !c.proven {
		t.Fatalf("in the phase %s by %s, and nobody has proven anything", c.state.Phase, c.state.Proof)
	}
	if !c.state.Open() && c.state.Phase != signin.Joining && c.state.User == "" && c.state.Proof == signin.ByPasskey {
		t.Fatal("a passkey of nobody")
	}
	if slices.Contains([]signin.Phase{signin.Joining, signin.Offering, signin.Completing}, c.state.Phase) {
		return
	}
	if _, err := c.state.Block(signin.View{}); err != nil {
		t.Fatal(err)
	}
}

func email(v string) frontend.LoginIdentifier {
	return frontend.LoginIdentifier{Type: rest.IdentifierTypeEmail, Identifier: v}
}

func username(v string) frontend.LoginIdentifier {
	return frontend.LoginIdentifier{Type: rest.IdentifierTypeUsername, Identifier: v}
}

// trusting is of a project that verifies nothing.
var trusting = project.Frontend{
	Identifiers: []project.IdentifierRule{{Type: account.IdentifierTypeEmail}, {Type: account.IdentifierTypeUsername}},
}

func TestASignUpIsFilledIn(t *testing.T) {
	t.Parallel()
	verified := project.Frontend{Identifiers: []project.IdentifierRule{
		{
			Type:     account.IdentifierTypeEmail,
			Required: true,
			Verify:   project.VerifySignUp,
			Link:     true,
		},
		{Type: account.IdentifierTypePhone, Verify: project.VerifySignUp},
	}}
	for name, c := range map[string]struct {
		project project.Frontend
		name    string
		given   []frontend.LoginIdentifier
		want    signin.Entry
	}{
		"with one of several that are optional": {
			trusting, "", []frontend.LoginIdentifier{email(" ada@example.com ")},
			signin.Entry{Fields: []signin.Field{
				{Type: "email", Value: "ada@example.com"}, {Type: "username"},
			}},
		},
		"of a project that says nothing": {
			project.Frontend{}, "", []frontend.LoginIdentifier{email("ada@example.com")},
			signin.Entry{Fields: []signin.Field{
				{Type: "email", Method: "email-otp", Value: "ada@example.com"}, {Type: "username"},
			}},
		},
		"with none": {trusting, "", nil, signin.Entry{Fields: []signin.Field{
			{Type: "email", Problem: signin.ProblemMissing()}, {Type: "username", Problem: signin.ProblemMissing()},
		}}},
		"with what is no address": {trusting, "", []frontend.LoginIdentifier{email("ada")}, signin.Entry{Fields: []signin.Field{
			{Type: "email", Value: "ada", Problem: malformed("must be an email address such as ada@example.com")}, {Type: "username"},
		}}},
		"with an address as the user name": {
			trusting, "", []frontend.LoginIdentifier{username("bob@example.com")},
			signin.Entry{Fields: []signin.Field{
				{Type: "email"}, {Type: "username", Value: "bob@example.com", Problem: malformed(
					"must not have the form of an email address; choose another name, or enter it as an email address",
				)},
			}},
		},
		"without one that is required": {
			verified, "", []frontend.LoginIdentifier{{Type: "phone", Identifier: "+4915112345678"}},
			signin.Entry{Fields: []signin.Field{
				{Type: "email", Method: "email-link", Problem: signin.ProblemMissing()}, {Type: "phone", Method: "phone-otp", Value: "+4915112345678"},
			}},
		},
		"with one that is not asked for": {
			verified, "", []frontend.LoginIdentifier{email("ada@example.com"), username("ada")},
			signin.Entry{Fields: []signin.Field{
				{
					Type:   "email",
					Method: "email-link",
					Value:  "ada@example.com",
				}, {Type: "phone", Method: "phone-otp"}, {Type: "username", Value: "ada", Problem: signin.ProblemNotAllowed()},
			}},
		},
		"without a name that is required": {
			project.Frontend{Identifiers: trusting.Identifiers, FullName: true}, " ", []frontend.LoginIdentifier{username("ada")},
			signin.Entry{
				Fields: []signin.Field{{Type: "email"}, {Type: "username", Value: "ada"}}, Problem: signin.ProblemFullName(),
			},
		},
		"where nobody can": {
			project.Frontend{Identifiers: trusting.Identifiers, NoSignUp: true}, "Ada", []frontend.LoginIdentifier{username("ada")},
			signin.Entry{
				Fields: []signin.Field{{Type: "email"}, {Type: "username", Value: "ada"}}, FullName: "Ada", Closed: signin.ProblemClosed(),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := signin.Fill(c.project, frontend.SignupInitReq{FullName: &c.name, Identifiers: c.given})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func malformed(message string) *frontend.RequestError {
	return &frontend.RequestError{Code: "identifier_invalid_format", Message: message}
}

// Where a page shows a message as it is, it follows the name of the field, or it stands alone.
func TestWhatIsWrongIsSaidWithWhatWouldDo(t *testing.T) {
	t.Parallel()
	_, noAddress := signin.Clean("email", "ada")
	_, noNumber := signin.Clean("phone", "123")
	_, addressAsName := signin.Clean("username", "ada@example.com")
	for field, c := range map[string]struct {
		problem *frontend.RequestError
		want    string
	}{
		"Email address": {signin.ProblemFormat(noAddress), "must be an email address such as ada@example.com"},
		"Phone number": {
			signin.ProblemFormat(noNumber),
			"must be a phone number with the country's code and nothing between its digits, such as +4915112345678",
		},
		"User name": {
			signin.ProblemFormat(addressAsName),
			"must not have the form of an email address; choose another name, or enter it as an email address",
		},
		"An identifier of another":        {signin.ProblemTaken(), "belongs to an account already; log in with it, or sign up with another"},
		"A phone number nobody asked for": {signin.ProblemNotAllowed(), "is none that users of this project sign up with; leave it out"},
		"An identifier that nobody has": {
			signin.ProblemNoLogin(), "leads to no login here; see that it is written as at the sign-up, or sign up with it",
		},
		"A wrong code": {
			signin.ProblemCode("email-otp"), "is wrong or has expired; enter the newest that came, or have another sent",
		},
		"A wrong link": {
			signin.ProblemCode("email-link"), "this link is wrong or has expired; open the newest that came, or have another sent",
		},
		"Your name":                     {signin.ProblemFullName(), "must have 3 to 255 characters"},
		"A sign-up where there is none": {signin.ProblemClosed(), "nobody can sign up here; whoever runs this project makes accounts"},
		"A passkey that was deleted": {
			signin.ProblemPasskeyGone(),
			"this passkey is not known here any more; log in another way, and delete it where it is kept",
		},
		"A login no longer offered":        {signin.ProblemNoPasskey(), "a login with a passkey is not offered any more; log in another way"},
		"A creation that is none any more": {signin.ProblemNoAppend(), "the creation of a passkey is not offered any more; go on without"},
	} {
		if c.problem.Message != c.want {
			t.Errorf("%s: it %q, want %q", field, c.problem.Message, c.want)
		}
	}
}

func TestASignUpThatOnlyAPasskeyLeadsBackToSaysSoBeforeItIsSkipped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given []frontend.LoginIdentifier
		only  bool
	}{
		"with a user name alone":              {[]frontend.LoginIdentifier{username("ada")}, true},
		"with an address":                     {[]frontend.LoginIdentifier{email("ada@example.com")}, false},
		"with an address beside the username": {[]frontend.LoginIdentifier{username("ada"), email("ada@example.com")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := signin.New(signin.SignUp, ident.NewSeed(), signin.Settings{})
			state = must(t)(state.SignUpWith(signin.Fill(trusting, frontend.SignupInitReq{Identifiers: c.given})))
			state = must(t)(state.Joined("usr-1"))
			state = must(t)(state.Offered(signin.Offer{Options: "{}"}))
			body, err := state.Block(signin.View{Project: trusting})
			if err != nil {
				t.Fatal(err)
			}
			block, err := body.Data.AsBlockPasskeyAppend()
			if err != nil || block.OnlyWayBack == nil || *block.OnlyWayBack != c.only {
				t.Errorf("the passkey is the only way back: %v, want %v (%v)", block.OnlyWayBack, c.only, err)
			}
		})
	}
}

func must(t *testing.T) func(signin.State, error) signin.State {
	t.Helper()
	return func(s signin.State, err error) signin.State {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestThePolicyIsToldWhatTheClientSaidAtTheBeginning(t *testing.T) {
	t.Parallel()
	shown, yes := now.Unix(), true
	for name, c := range map[string]struct {
		said signin.Settings
		want rest.PasskeyIntelFlags
	}{
		"nothing": {},
		"that it showed an offer, and is not to after a login with another device": {
			signin.Settings{AppendShown: shown, NotAfterCDA: true}, rest.PasskeyIntelFlags{AppendShown: &shown, OptOutAfterHybrid: &yes},
		},
	} {
		if diff := cmp.Diff(c.want, c.said.Flags()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOptionsAreHandedOutOnceWhileTheyAreGood(t *testing.T) {
	t.Parallel()
	s := signin.State{Phase: signin.PasskeyAppend, Offer: &signin.Offer{Options: "{}", Expires: now.Add(time.Minute).UnixMilli()}}
	if _, ok := s.Handed(now.Add(time.Minute)); ok {
		t.Error("handed out after they expired")
	}
	next, ok := s.Handed(now)
	if !ok || s.Offer.Taken {
		t.Error("not handed out, or the state before was changed")
	}
	if _, ok := next.Handed(now); ok {
		t.Error("handed out twice")
	}
}
