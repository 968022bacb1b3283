package detect

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// Value returns the facts as a policy's input. It is written out by hand: going through reflection costs several times what a decision does. A test holds
// it against the JSON form.
func (f *Facts) Value() ast.Value {
	const most = 15
	items := make([][2]*ast.Term, 0, most)
	items = append(items,
		boolean("complete", f.Complete),
		object("client",
			text("os", f.Client.OS), integer("osVersion", f.Client.OSVersion), text("browser", f.Client.Browser),
			boolean("native", f.Client.Native), boolean("mobile", f.Client.Mobile), boolean("desktop", f.Client.Desktop),
			boolean("privateMode", f.Client.PrivateMode), boolean("webdriver", f.Client.Webdriver)),
		object("support",
			boolean("webauthn", f.Support.WebAuthn), boolean("uvpa", f.Support.UVPA), text("ble", f.Support.BLE),
			boolean("conditionalGet", f.Support.ConditionalGet), boolean("conditionalCreate", f.Support.ConditionalCreate),
			text("hybrid", f.Support.Hybrid), boolean("immediateGet", f.Support.ImmediateGet)),
		object("environment",
			boolean("known", f.Environment.Known), boolean("rejected", f.Environment.Rejected), text("listed", string(f.Environment.Listed))),
	)
	if f.Account != "" {
		items = append(items, text("account", string(f.Account)))
	}
	if f.Strategy != "" {
		items = append(items, text("strategy", f.Strategy))
	}
	if f.AccountFacts != nil {
		items = f.AccountFacts.appendTo(items)
	}
	if f.Flags != nil {
		items = append(items, object("flags",
			boolean("force", f.Flags.Force), boolean("auto", f.Flags.Auto), boolean("conditionalCreate", f.Flags.ConditionalCreate), text("inApp", f.Flags.InApp)))
	}
	if f.Situation != nil {
		items = append(items, text("situation", *f.Situation))
	}
	if f.Process != nil {
		items = append(items, object("process",
			text("outcome", string(f.Process.Outcome)), integer("failedLocal", f.Process.FailedLocal),
			boolean("missingEvidence", f.Process.MissingEvidence), text("credentialClass", string(f.Process.CredentialClass))))
	}
	if f.Nudges != nil {
		items = append(items, object("nudges",
			nudge("default", f.Nudges.Default), nudge("afterError", f.Nudges.AfterError), nudge("afterHybrid", f.Nudges.AfterHybrid), nudge("auto", f.Nudges.Auto),
			object("conditionalCreate", boolean("cooldown", f.Nudges.ConditionalCreate.Cooldown)), boolean("spaced", f.Nudges.Spaced)))
	}
	return ast.NewObject(items...)
}

func (f *AccountFacts) appendTo(items [][2]*ast.Term) [][2]*ast.Term {
	return append(items,
		object("credentials",
			integer("total", f.Credentials.Total), integer("likely", f.Credentials.Likely), integer("uncertain", f.Credentials.Uncertain),
			integer("remote", f.Credentials.Remote), integer("securityKey", f.Credentials.SecurityKey)),
		object("cda",
			boolean("client", f.CDA.Client), boolean("remoteHigh", f.CDA.RemoteHigh), boolean("remoteLow", f.CDA.RemoteLow), boolean("route", f.CDA.Route)),
		boolean("securityKeyOnly", f.SecurityKeyOnly),
		object("pair",
			integer("localStreak", f.Pair.LocalStreak), integer("cdaStreak", f.Pair.CDAStreak), integer("securityKeyStreak", f.Pair.SecurityKeyStreak),
			boolean("noCredentials", f.Pair.NoCredentials), text("lastFailedRoute", string(f.Pair.LastFailedRoute)),
			boolean("positive", f.Pair.Positive), text("lastRoute", string(f.Pair.LastRoute)), boolean("positiveSecurityKey", f.Pair.PositiveSecurityKey),
			boolean("existsHere", f.Pair.ExistsHere), boolean("createdHere", f.Pair.CreatedHere)),
		object("blacklist",
			boolean("login", f.Blacklist.Login), boolean("appendAfterHybrid", f.Blacklist.AppendAfterHybrid), boolean("appendAfterError", f.Blacklist.AppendAfterError)),
		assignments("experiments", f.Experiments),
	)
}

type item = [2]*ast.Term

func boolean(key string, value bool) item { return item{term(key), ast.InternedTerm(value)} }
func integer(key string, value int) item  { return item{term(key), ast.InternedTerm(value)} }
func text(key, value string) item         { return item{term(key), term(value)} }

func object(key string, items ...item) item { return item{term(key), ast.ObjectTerm(items...)} }

func assignments(key string, arms Assignments) item {
	items := make([]item, len(arms))
	for i, one := range arms {
		items[i] = text(one.Experiment, string(one.Arm))
	}
	return object(key, items...)
}

func nudge(key string, n Nudge) item {
	return object(key, integer("declines", n.Declines), boolean("cooldown", n.Cooldown))
}

func term(word string) *ast.Term {
	if known, ok := words[word]; ok {
		return known
	}
	return ast.StringTerm(word)
}

// words are the terms of the keys and of the usual values, made once. Terms do not change, so they may be shared.
var words = vocabulary(
	"account", "afterError", "afterHybrid", "appendAfterError", "appendAfterHybrid", "auto", "blacklist", "ble", "browser", "cda", "cdaStreak",
	"client", "complete", "conditionalCreate", "conditionalGet", "cooldown", "createdHere", "credentialClass", "credentials", "declines", "default",
	"desktop", "environment", "existsHere", "failedLocal", "flags", "force", "hybrid", "immediateGet", "inApp", "known", "lastFailedRoute", "lastRoute",
	"likely", "listed", "localStreak", "login", "missingEvidence", "mobile", "native", "noCredentials", "nudges", "os", "osVersion", "outcome", "pair",
	"positive", "positiveSecurityKey", "privateMode", "process", "rejected", "remote", "remoteHigh", "remoteLow", "route", "securityKey",
	"securityKeyOnly", "securityKeyStreak", "situation", "spaced", "strategy", "support", "total", "uncertain", "uvpa", "webauthn", "webdriver",
	"active", "pending", "disabled", "unknown", "standard", "minimize", "maximize", "windows", "macos", "ios", "android", "chromeos", "linux", "chrome",
	"safari", "edge", "firefox", "on", "off", "yes", "no", "none", "restricted-browser", "local", "security-key", "", "sk", "incomplete", "not-offered",
	"post-login", "sign-up", "mfa", "in-app", "passkey-list", "experiments", DeviceLocalPasskey, string(Treatment), string(Control),
)

func vocabulary(list ...string) map[string]*ast.Term {
	terms := make(map[string]*ast.Term, len(list))
	for _, word := range list {
		terms[word] = ast.StringTerm(word)
	}
	return terms
}
