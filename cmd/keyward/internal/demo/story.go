package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
	"github.com/keyward/keyward/cmd/keyward/internal/demo/visitor"
)

// Options of a demo.
type Options struct {
	Project client.Project
	Origin  string // of the page that the passkeys are used on; one of the project's
	Full    bool   // print whole bodies
	Out     io.Writer
	// Coloured says that Out takes control sequences of a terminal.
	Coloured bool
}

const callTimeout = 15 * time.Second

// story is the tale of one user.
type story struct {
	*page
	ada *visitor.Visitor
}

// errUnexpected marks an answer that the story has no chapter for: an edited policy, for example.
var errUnexpected = errors.New("the story cannot go on")

// Tell runs the whole story for one user and prints each call with its answer. An error says where it could not go on.
func Tell(ctx context.Context, opts Options) error {
	p := newPage(opts, opts.Full)
	api := client.Connect(opts.Project, callTimeout, p.exchange)
	s := &story{
		page: p,
		ada: &visitor.Visitor{
			API: api, Origin: opts.Origin, Name: "Ada Lovelace", Device: authenticator.Phone(), Browser: visitor.SafariOnMac(),
		},
	}
	p.line(p.title.render("Keyward, from the first visit to the day a passkey is barred"))
	p.line(p.faint.render(fmt.Sprintf("%s · project %s · origin %s", opts.Project.URL, opts.Project.ID, opts.Origin)))
	chapters := []struct {
		title, text string
		tell        func(context.Context) error
	}{
		{"Ada signs up", "The application creates a user. She has a password, and no passkey.", s.signUp},
		{"Should the login page offer a passkey?", "Keyward is asked at every login, before anything is shown.", s.firstLogin},
		{
			"Ada logs in with her password. Offer to create a passkey?",
			"The same process goes on, so Keyward knows how she came in. A software authenticator in the place of Ada's Mac makes the passkey, " +
				"with a real key and a real signature.",
			s.createPasskey,
		},
		{
			"The next day", "Same browser, and now there is a passkey. Keyward sends the options, the authenticator signs, Keyward verifies.",
			s.login,
		},
		{
			"Twice, Ada closes the dialog",
			"The application reports each failure as a passkey event. When the call has returned, the next decision knows of it.", s.failures,
		},
		{"Is it offered a third time?", "Nothing has changed but her history.", s.thirdTime},
		{"Ada picks her passkey from the autofill list", "Conditional mediation: nobody has named a user, the passkey does.", s.autofill},
		{"And now?", "A success ends the streak of failures.", s.afterSuccess},
		{"The security team bars passkey login for Ada", "One event, and the very next login start obeys.", s.barred},
	}
	for _, chapter := range chapters {
		p.begin(len(chapters), chapter.title, chapter.text)
		if err := chapter.tell(ctx); err != nil {
			return fmt.Errorf("demo: %s: %w", chapter.title, err)
		}
	}
	p.line()
	p.line(
		p.good.render("That is the whole story."), " The rules that decided are in policies/; every decision is on the stream passkey.decisions.",
		opts.Project.ID, ".",
	)
	return nil
}

// expect prints a verdict and ends the story if it is not the one that the default policy gives.
func (s *story) expect(wanted, allowed bool, tag rest.DecisionTag) error {
	s.verdict(allowed, string(tag))
	if allowed != wanted {
		return fmt.Errorf("%w: the policy answered %v with %s, where the default policy answers %v", errUnexpected, allowed, tag, wanted)
	}
	return nil
}

func (s *story) signUp(ctx context.Context) error { return s.ada.SignUp(ctx) }

func (s *story) loginStart(ctx context.Context, process string, wanted bool) (rest.PasskeyLoginStartRsp, error) {
	start, err := s.ada.LoginStart(ctx, process, rest.CrossDeviceAuthenticationStrategyStandard)
	if err != nil {
		return start, err
	}
	return start, s.expect(wanted, start.LoginAllow, start.DecisionTag)
}

func (s *story) firstLogin(ctx context.Context) error {
	_, err := s.loginStart(ctx, s.ada.Arrive(), false)
	return err
}

func (s *story) createPasskey(ctx context.Context) error {
	process := fmt.Sprintf("demo-%s-%d", s.ada.ID, s.ada.Visits)
	start, err := s.ada.AppendStart(ctx, process, rest.PasskeyIntelFlags{})
	if err != nil {
		return err
	}
	if err := s.expect(true, start.AppendAllow, start.DecisionTag); err != nil {
		return err
	}
	return s.ada.AppendFinish(ctx, process, start.AttestationOptions)
}

func (s *story) login(ctx context.Context) error {
	process := s.ada.Arrive()
	start, err := s.loginStart(ctx, process, true)
	if err != nil {
		return err
	}
	return s.ada.LoginFinish(ctx, process, start.AssertionOptions)
}

func (s *story) failures(ctx context.Context) error {
	for range 2 {
		process := s.ada.Arrive()
		start, err := s.loginStart(ctx, process, true)
		if err != nil {
			return err
		}
		if err := s.ada.Report(
			ctx, rest.PasskeyEventTypeLoginError, process, start.AssertionOptions,
		); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) thirdTime(ctx context.Context) error {
	_, err := s.loginStart(ctx, s.ada.Arrive(), false)
	return err
}

func (s *story) autofill(ctx context.Context) error {
	process := s.ada.Arrive()
	start, err := s.ada.MediationStart(ctx, process)
	if err != nil {
		return err
	}
	if !start.LoginAllow {
		return fmt.Errorf("%w: conditional mediation was not allowed", errUnexpected)
	}
	return s.ada.MediationFinish(ctx, process, start.AssertionOptions)
}

func (s *story) afterSuccess(ctx context.Context) error {
	_, err := s.loginStart(ctx, s.ada.Arrive(), true)
	return err
}

func (s *story) barred(ctx context.Context) error {
	if err := s.ada.Report(ctx, rest.PasskeyEventTypeUserLoginBlacklisted, "", ""); err != nil {
		return err
	}
	_, err := s.loginStart(ctx, s.ada.Arrive(), false)
	return err
}
