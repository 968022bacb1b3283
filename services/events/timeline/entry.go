package timeline

import (
	"strings"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/event"
)

// entry is an event as operators read it.
func entry(e *event.Event) operator.TimelineEntry {
	told := operator.TimelineEntry{
		Kind: kindOf(e), ID: string(e.ID), At: time.UnixMilli(e.CreatedMs).UTC(), Type: string(e.Type), Text: said(e),
		Route:      word(string(e.Route)),
		DecisionID: word(string(e.Decision)), ProcessID: word(e.Process), EnvironmentID: word(string(e.Environment)),
		CredentialID: word(e.Credential), Proven: e.Proven,
	}
	if e.Expires != 0 {
		told.Until = new(time.UnixMilli(e.ExpiresMs()).UTC())
	}
	if e.Client != nil {
		told.OS, told.Browser = word(e.Client.OS), word(e.Client.Browser)
	}
	switch {
	case e.Risk != nil:
		told.Verdict, told.Reason = word(e.Risk.Action), word(strings.Join(e.Risk.Reasons, ", "))
	case e.Refused != nil:
		told.Reason = word(e.Refused.Reason)
	case e.Feedback != nil:
		told.Reason = word(string(e.Feedback.Outcome))
	}
	return told
}

// sentences are types whose name says too little. It is never changed.
var sentences = map[event.Type]string{
	event.LoginOffered:               "A login with a passkey was offered",
	event.LoginDenied:                "No login with a passkey was offered",
	event.LoginCompleted:             "Logged in with a passkey",
	event.AppendOffered:              "A passkey was offered to be created",
	event.AppendCompleted:            "Created a passkey",
	event.AppendRefused:              "A passkey that was created was refused",
	event.LoginRefused:               "A login with a passkey was refused",
	event.LoginEventsLimited:         "So much was told by who has proven nothing that the rest is not recorded",
	event.LoginCodeFailed:            "A wrong code was given",
	event.PasskeyCounterRegressed:    "A passkey's signature counter had not gone up",
	event.PasskeyBackupChanged:       "A passkey said otherwise than before whether it may be synchronised",
	event.AuthenticatorStatusChanged: "FIDO's metadata says something else of a passkey's authenticator",
	event.BackupStateChanged:         "A passkey is backed up now, or no more",
	event.NewEnvironment:             "Was seen in a new environment",
	event.NewCountry:                 "Was seen in a new country",
	event.RiskDecided:                "Was judged for risk",
	event.RiskFeedback:               "A caller told what became of a decision",
	event.StepUpStarted:              "A further proof is waited for",
	event.StepUpPassed:               "Gave the further proof",
	event.StepUpFailed:               "Failed to give the further proof",
	event.EnvironmentForgotten:       "What was remembered of an environment was forgotten",
	event.UserCreated:                "The user was created",
	event.UserUpdated:                "The user was changed",
	event.UserLabelled:               "The user's labels were set",
	event.PasskeyDeleted:             "A passkey was deleted",
	event.PasskeyCode:                "A code was made to register a passkey with",
	event.AuthSignUp:                 "Signed up, as a caller reports",
	event.AuthLogin:                  "Logged in by any means, as a caller reports",
	event.AuthPasskeyAdded:           "Got another passkey, as a caller reports",
	event.UserLoginBlacklisted:       "Was barred from logins with passkeys",
	event.LoginExplicitAbort:         "Broke off a login",
	event.LoginError:                 "A login failed",
	event.LoginNoCredentials:         "The client said that it holds no passkey",
	event.AppendExplicitAbort:        "Turned down an offer to create a passkey",
	event.AppendError:                "The creation of a passkey failed",
	event.AppendCredentialExists:     "The client said that it holds a passkey already",
}

func said(e *event.Event) string {
	if known, ok := sentences[e.Type]; ok {
		return known
	}
	words := strings.ReplaceAll(string(e.Type), "-", " ")
	return strings.ToUpper(words[:min(1, len(words))]) + words[min(1, len(words)):]
}

// word is a text that is left out if it is empty.
func word(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
