// Package vocabulary is the words that scenario files may expect of an answer. It is pure.
package vocabulary

import (
	"regexp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

// Words returns texts as such.
func Words[T ~string](values ...T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}

// The words, by what they are for.
var (
	Strategies = Words(
		rest.CrossDeviceAuthenticationStrategyStandard, rest.CrossDeviceAuthenticationStrategyMinimize,
		rest.CrossDeviceAuthenticationStrategyMaximize,
	)
	Transports = Words(
		rest.CredentialTransportBle, "cable", // what hybrid was called before
		rest.CredentialTransportHybrid, rest.CredentialTransportInternal, rest.CredentialTransportNfc, rest.CredentialTransportSmartCard,
		rest.CredentialTransportUsb,
	)
	Routes = Words(event.Local, event.CDA, event.SecurityKey)
	Kinds  = Words(
		event.KindDefault, event.KindAfterError, event.KindAfterHybrid, event.KindAuto, event.KindConditionalCreate,
	)
	DecisionTags = Words(
		rest.DecisionTagDefaultDeny,
		rest.DecisionTagDeviceLocalPlatformPasskeyExperiment,
		rest.DecisionTagEnvBlacklisted,
		rest.DecisionTagEnvBroken,
		rest.DecisionTagEnvNoPkSupport,
		rest.DecisionTagEnvNoPlatformPkSupport,
		rest.DecisionTagPasskeyListInitiatedProcess,
		rest.DecisionTagProcessPkLoginAborted,
		rest.DecisionTagProcessPkLoginCrossPlatformCompleted,
		rest.DecisionTagProcessPkLoginIncomplete,
		rest.DecisionTagProcessPkLoginNotOffered,
		rest.DecisionTagProcessPkLoginPlatformCompleted,
		rest.DecisionTagProcessPkLoginSkCompleted,
		rest.DecisionTagUserAppendBlacklisted,
		rest.DecisionTagUserCrossPlatformPkHighConfidence,
		rest.DecisionTagUserEnvNoPks,
		rest.DecisionTagUserLoginBlacklisted,
		rest.DecisionTagUserNegativeEnvHistory,
		rest.DecisionTagUserNoPks,
		rest.DecisionTagUserPlatformPkHighConfidence,
		rest.DecisionTagUserPositiveEnvHistory,
		rest.DecisionTagUserSecurityKey,
	)
	RolloutTags = Words(
		rest.DecisionTagDefaultDeny,
		service.TagRolloutAllowed,
		service.TagRolloutKillSwitch,
		service.TagRolloutRuleBlocked,
		service.TagRolloutSampledOut,
		service.TagRolloutIdentifierNotListed,
	)
	Variants = Words(
		rest.AppendVariantDefault, rest.AppendVariantAfterError, rest.AppendVariantAfterHybrid, rest.AppendVariantAfterNoCredential,
	)
	Reasons = append(Words(
		rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists,
		rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported,
	), "")
	LoginReasons = []string{
		"", "environment_barred", "user_barred", "failing_here", "unreachable", "no_passkeys", "unsupported", "data_incomplete",
	}
	Verdicts = Words(service.RiskAllow, service.RiskReview, service.RiskChallenge, service.RiskDeny)
	Levels   = Words(service.RiskLow, service.RiskMedium, service.RiskHigh)
	Judged   = []string{"verdict", "level", "rule", "enforced"} // how
	Methods  = Words(service.StepUpMethods()...)
	Refusals = Words(fault.TypeRiskDenied, fault.TypeStepUpRequired, fault.TypeValidationError)
	Told     = append(Words(
		event.RiskDecided, event.LoginOffered, event.LoginDenied, event.AppendOffered, event.LoginCompleted, event.LoginRefused,
		event.AppendCompleted, event.NewCountry, event.NewEnvironment, event.BackupStateChanged, event.StepUpStarted,
		event.PasskeyCounterRegressed,
	), CounterRegressed)
	Hints = []string{"client-device", "hybrid", "security-key"} // W3C WebAuthn, PublicKeyCredentialHint

	DetectionNames = map[rest.DetectionTagCategory][]string{
		rest.DetectionTagCategorySupport: {
			"webauthn",
			"no-webauthn",
			"uvpaa",
			"no-uvpaa",
			"conditional-get",
			"conditional-create",
			"hybrid",
			"no-hybrid",
			"ble-on",
			"ble-off",
			"ble-unknown",
			"native",
			"private-mode",
			"webdriver",
			"bot",
			"headless",
			"restricted-browser",
			"embedded-webview",
			"no-screen-lock",
			"immediate-get",
		},
		rest.DetectionTagCategoryClientEnv: {"known", "unknown", "handle-rejected", "positive", "negative", "blacklisted"},
		rest.DetectionTagCategoryHistory: {
			"login-blacklisted",
			"no-credentials",
			"positive-recent",
			"positive-stale",
			"default-cooldown",
			"after-error-cooldown",
			"after-hybrid-cooldown",
			"auto-cooldown",
			"conditional-create-cooldown",
			"append-blacklisted-after-hybrid",
			"append-blacklisted-after-error",
			"passkey-lost",
			"clock-skew",
		},
		rest.DetectionTagCategoryPasskey: {
			"none",
			"security-key",
			"apple",
			"google",
			"windows-hello",
			"samsung",
			"browser-profile",
			"password-manager",
			"phone-bound",
			"unknown-provider",
			"synced",
			"device-bound",
			"availability-likely",
			"availability-uncertain",
			"availability-remote",
			"availability-none",
		},
	}
	StreakTag = regexp.MustCompile(`^history/(local|cda|sk)-streak-[1-9][0-9]*$`)
)

// CounterRegressed is a shorter name of event.PasskeyCounterRegressed.
const CounterRegressed = "counter-regressed"
