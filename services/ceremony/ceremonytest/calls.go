package ceremonytest

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// NewUser creates an active user who has nothing yet.
func (st *Stack) NewUser(tb testing.TB) ident.UserID {
	tb.Helper()
	u, err := st.CreateUser(tb.Context(), service.ForProject[rest.UserCreateReq]{
		Project: st.Project.ID, Body: rest.UserCreateReq{Status: rest.UserStatusActive},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return ident.UserID(u.UserID)
}

// BeginAppend starts the creation of a passkey; the device keeps the handle that it is given.
func (st *Stack) BeginAppend(tb testing.TB, user ident.UserID, d *authenticator.Device) rest.PasskeyAppendStartRsp {
	tb.Helper()
	rsp, err := st.AppendStart(tb.Context(), service.ForProject[rest.PasskeyAppendStartReq]{
		Project: st.Project.ID, Body: rest.PasskeyAppendStartReq{
			UserID: string(user), ProcessID: Process, Username: "ada@example.com", ClientInformation: d.Client(),
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.Body.NewClientEnvHandle != nil {
		d.Handle = *rsp.Body.NewClientEnvHandle
	}
	return rsp.Body
}

// FinishAppend finishes the creation of a passkey with the answer of a device.
func (st *Stack) FinishAppend(tb testing.TB, user ident.UserID, d *authenticator.Device, answer string) (rest.PasskeyData, error) {
	tb.Helper()
	rsp, err := st.AppendFinish(tb.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(user), ProcessID: Process, AttestationResponse: answer, ClientInformation: d.Client(),
		},
	})
	return rsp.Body.PasskeyData, err
}

// Enroll creates a passkey of the user on the device.
func (st *Stack) Enroll(tb testing.TB, user ident.UserID, d *authenticator.Device) rest.PasskeyData {
	tb.Helper()
	start := st.BeginAppend(tb, user, d)
	d.Options.UserHandle = nil
	data, err := st.FinishAppend(tb, user, d, d.Create(tb, start.AttestationOptions))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// BeginLogin starts a login.
func (st *Stack) BeginLogin(tb testing.TB, user ident.UserID, d *authenticator.Device) rest.PasskeyLoginStartRsp {
	tb.Helper()
	rsp, err := st.LoginStart(tb.Context(), st.LoginStartReq(user, d))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Body
}

// LoginStartReq is the call that BeginLogin makes.
func (st *Stack) LoginStartReq(user ident.UserID, d *authenticator.Device) service.ForProject[rest.PasskeyLoginStartReq] {
	return service.ForProject[rest.PasskeyLoginStartReq]{Project: st.Project.ID, Body: rest.PasskeyLoginStartReq{
		UserID: string(user), ProcessID: Process, ClientInformation: d.Client(),
		CrossDeviceAuthenticationStrategy: rest.CrossDeviceAuthenticationStrategyStandard,
	}}
}

// FinishLogin finishes a login with the answer of a device.
func (st *Stack) FinishLogin(tb testing.TB, user ident.UserID, d *authenticator.Device, answer string) (rest.PasskeyData, error) {
	tb.Helper()
	rsp, err := st.LoginFinish(tb.Context(), st.LoginFinishReq(user, d, answer))
	return rsp.Body.PasskeyData, err
}

// LoginFinishReq is the call that FinishLogin makes.
func (st *Stack) LoginFinishReq(user ident.UserID, d *authenticator.Device, answer string) service.ForProject[rest.PasskeyLoginFinishReq] {
	return service.ForProject[rest.PasskeyLoginFinishReq]{Project: st.Project.ID, Body: rest.PasskeyLoginFinishReq{
		UserID: string(user), ProcessID: Process, AssertionResponse: answer, ClientInformation: d.Client(),
	}}
}

// BeginMediation starts a login by conditional UI.
func (st *Stack) BeginMediation(tb testing.TB, d *authenticator.Device) rest.PasskeyMediationStartRsp {
	tb.Helper()
	id := Process
	rsp, err := st.MediationStart(tb.Context(), service.ForProject[rest.PasskeyMediationStartReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationStartReq{
			ProcessID: &id, ClientInformation: d.Client(),
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Body
}

// FinishMediation finishes a login by conditional UI with the answer of a device.
func (st *Stack) FinishMediation(tb testing.TB, d *authenticator.Device, answer string) (rest.PasskeyMediationFinishRsp, error) {
	tb.Helper()
	rsp, err := st.MediationFinish(tb.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID: Process, AssertionResponse: answer, ClientInformation: d.Client(),
		},
	})
	return rsp.Body, err
}

// Account returns what is stored of a user.
func (st *Stack) Account(tb testing.TB, user ident.UserID) account.Account {
	tb.Helper()
	a, _, err := st.Accounts.Get(tb.Context(), st.Project.ID, user)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// Challenges lists the challenges of a user.
func (st *Stack) Challenges(tb testing.TB, user ident.UserID, filter ...string) []rest.PasskeyChallenge {
	tb.Helper()
	list, err := st.ListChallenges(tb.Context(), service.ForUser[service.List]{
		Project: st.Project.ID, User: user, Body: service.List{Filter: filter},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return list.PasskeyChallenges
}

// Known returns a user whose passkey the device holds, as a discoverable credential.
func Known(t *testing.T, st *Stack) (ident.UserID, *authenticator.Device, rest.PasskeyData) {
	t.Helper()
	user, d := st.NewUser(t), authenticator.Phone()
	data := st.Enroll(t, user, d)
	d.Options.UserHandle = st.Account(t, user).UserHandle
	return user, d, data
}
