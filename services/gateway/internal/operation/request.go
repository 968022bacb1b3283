package operation

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Exchange is what admission knows of a request.
type Exchange interface {
	// Caller is the project that calls, or is visited.
	Caller() ident.ProjectID
	// Visitor is who calls the Frontend API.
	Visitor() service.Visit
	// Operator is who calls the Operator API.
	Operator() operator.Operator
	// Tell puts into the header what an answer has beside its body. cookies may be nil.
	Tell(decided service.Decided, cookies *service.Cookies)
	// Judge puts into the header how the request was judged beside what it asked for, and reports whether the caller may know.
	Judge(*service.Risk) bool
	// Done is the body of answers that have nothing to tell.
	Done() rest.GenericRsp
}

// request is one request that has been admitted: it fits the document, but for its body, which nobody has read yet.
type request struct {
	fiber    *fiber.Ctx
	exchange Exchange
	joined   *Joined
}

// path returns a path parameter. That it can be read has been checked.
func (r *request) path(name string) string {
	value, _ := url.PathUnescape(r.fiber.Params(name))
	return value
}

// query returns the query. That it can be read has been checked.
func (r *request) query() url.Values {
	values, _ := contract.Query(string(r.fiber.Request().URI().QueryString()))
	return values
}

// decode reads the body and holds it to the contract.
func (r *request) decode(into any) error {
	err := r.joined.decoder.Decode(r.fiber.Request().Body(), into) // not a copy; nothing of it is kept
	var misfit *contract.Misfit
	switch {
	case err == nil:
		return nil
	case errors.As(err, &misfit):
		return Refusal(misfit.Found, misfit.Broken)
	default:
		return fault.Field("body", "cannot be read").Because(err)
	}
}

// Refusal is the fault of a request in which the contract found something wrong, or whose body is no JSON at all. It is nil if nothing is
// wrong.
func Refusal(found []fault.FieldError, err error) error {
	var broken *contract.NotJSON
	switch {
	case errors.As(err, &broken):
		f := &fault.Fault{Type: fault.TypeInvalidJSON, Status: http.StatusBadRequest, Details: broken.Reason, Validation: found}
		if broken.Field != "" {
			f.Validation = append(f.Validation, fault.FieldError{Field: broken.Field, Message: broken.Reason})
		}
		return f
	case len(found) > 0:
		return fault.Fields(found...)
	default:
		return nil
	}
}

// What answers of services may have beside their bodies.
type (
	judged interface {
		Inner() any
		Why() service.Decided
	}
	answered interface {
		judged
		Session() *service.Cookies
	}
	doubted interface {
		Judgement() *service.Risk
	}
)

// write answers with what a method returned; out points to it.
func (r *request) write(out any) error {
	if told, ok := out.(doubted); ok && told.Judgement() != nil && r.exchange.Judge(told.Judgement()) {
		r.includeRisk(out)
	}
	switch told := out.(type) {
	case answered:
		r.exchange.Tell(told.Why(), told.Session())
		out = told.Inner()
	case judged:
		r.exchange.Tell(told.Why(), nil)
		out = told.Inner()
	}
	if _, empty := out.(*service.Empty); !empty {
		return r.writeJSON(out)
	}
	if r.joined.NoContent {
		r.fiber.Status(http.StatusNoContent)
		return nil
	}
	return r.writeJSON(r.exchange.Done())
}

// includeRisk puts into a body how the request was judged, if the caller asks for that: strict clients throw on members that they do
// not know.
func (r *request) includeRisk(out any) {
	if len(r.fiber.Request().URI().QueryString()) == 0 || r.query().Get(include) != string(rest.PasskeyLoginStartParamsIncludeRisk) {
		return
	}
	switch told := out.(type) {
	case *service.Judged[rest.PasskeyLoginStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Judged[rest.PasskeyAppendStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Judged[rest.PasskeyMediationStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyLoginFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyAppendFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyMediationFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	}
}

// RiskOf returns how what a fault ends was judged, if the caller asks for that.
func RiskOf(query []byte, judged *service.Judged[service.Empty]) *rest.Risk {
	values, err := contract.Query(string(query))
	if err != nil || values.Get(include) != string(rest.PasskeyLoginStartParamsIncludeRisk) {
		return nil
	}
	return risk(judged.Decision, judged.Risk)
}

func risk(decision ident.DecisionID, r *service.Risk) *rest.Risk {
	told := &rest.Risk{
		DecisionID: string(decision), Action: rest.RiskAction(r.Action), Level: rest.RiskLevel(r.Level), Enforced: r.Enforced,
		Reasons: make([]rest.RiskReason, len(r.Reasons)), StepUp: stepUp(r),
		Obligations: &rest.RiskObligations{
			NotifyUser: r.Obligations.NotifyUser, MaxSessionSeconds: int32(min(r.Obligations.MaxSessionSeconds, math.MaxInt32)),
		},
	}
	if r.Obligations.UserVerification != "" {
		told.Obligations.UserVerification = new(rest.RiskObligationsUserVerification(r.Obligations.UserVerification))
	}
	if !r.NextEligibleAt.IsZero() {
		told.NextEligibleAt = new(r.NextEligibleAt.UTC().Format(time.RFC3339))
	}
	for i, reason := range r.Reasons {
		told.Reasons[i] = rest.RiskReason{Code: reason.Code, Severity: reason.Severity, Title: reason.Title}
	}
	return told
}

func (r *request) writeJSON(value any) error {
	body, err := Encode(value)
	if err != nil {
		return err
	}
	r.fiber.Response().SetBodyRaw(body)
	r.fiber.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	return nil
}

// Encode writes nil slices as [], since strict clients take no null for an array. Optional fields that are set are written even if they
// are empty. What is answered most is written without reflection, to the same effect.
func Encode(value any) ([]byte, error) {
	const usual = 3072 // bytes
	switch told := value.(type) {
	case *rest.PasskeyLoginStartRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyLoginFinishRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyAppendStartRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyAppendFinishRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	}
	return reflected(value)
}

func reflected(value any) ([]byte, error) {
	return json.Marshal(value, jsontext.AllowInvalidUTF8(true), jsonv1.OmitEmptyWithLegacySemantics(true))
}

// form is how a request becomes what a method takes.
type form[T any] struct {
	body  reflect.Type // that the body is decoded into; nil: there is none
	own   bool         // it reads one path parameter, r.joined.own
	query []string     // names of the query parameters that it reads
	value func(*request) (T, error)
}

// nothing is read.
func nothing() form[service.Empty] {
	return form[service.Empty]{value: func(*request) (service.Empty, error) { return service.Empty{}, nil }}
}

// body reads the body.
func body[T any]() form[T] {
	return form[T]{body: reflect.TypeFor[T](), value: func(r *request) (T, error) {
		into := new(T)
		err := r.decode(into)
		return *into, err
	}}
}

// include is the query parameter that asks for more in an answer.
const include = "include"

// judgedBody reads the body of a call that is judged.
func judgedBody[T any]() form[T] {
	f := body[T]()
	f.query = []string{include}
	return f
}

// id reads the path parameter that says what the operation is about, beside the user or the webhook.
func id[T ~string]() form[T] {
	return form[T]{own: true, value: func(r *request) (T, error) { return T(r.path(r.joined.own)), nil }}
}

// index reads a path parameter that is a number.
func index() form[int] {
	return form[int]{own: true, value: func(r *request) (int, error) { return strconv.Atoi(r.path(r.joined.own)) }}
}

// change reads the path parameter that says what is changed, and the body that says how.
func change[B, T any](into func(id string, body B) T) func() form[T] {
	return func() form[T] {
		return form[T]{own: true, body: reflect.TypeFor[B](), value: func(r *request) (T, error) {
			how := new(B)
			if err := r.decode(how); err != nil {
				var none T
				return none, err
			}
			return into(r.path(r.joined.own), *how), nil
		}}
	}
}

// list reads the parameters of lists; the defaults are the contract's.
func list() form[service.List] {
	return form[service.List]{query: listQuery(), value: func(r *request) (service.List, error) { return listIn(r.query()), nil }}
}

// listQuery are the names that listIn reads.
func listQuery() []string { return []string{"sort", "filter[]", "page", "pageSize"} }

func listIn(query url.Values) service.List {
	return service.List{
		Sort: query.Get("sort"), Filter: query["filter[]"], Page: numberIn(query, "page", 1), PageSize: numberIn(query, "pageSize", 10),
	}
}

// numberIn returns a number that has been checked, or what the contract takes for one that is not there.
func numberIn(query url.Values, name string, otherwise int) int {
	number, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return otherwise
	}
	return number
}

// eventList reads the parameters of a list of events.
func eventList() form[service.EventList] {
	return form[service.EventList]{query: append(listQuery(), "include"), value: func(r *request) (service.EventList, error) {
		query := r.query()
		engine := query.Get(include) == string(rest.ListPasskeyEventsParamsIncludeEngine)
		return service.EventList{List: listIn(query), IncludeEngine: engine}, nil
	}}
}

// preferredBlock reads which block a visitor would like to see; nil: any.
func preferredBlock() form[*frontend.BlockType] {
	return form[*frontend.BlockType]{query: []string{"preferredBlock"}, value: func(r *request) (*frontend.BlockType, error) {
		query := r.query()
		if !query.Has("preferredBlock") {
			return nil, nil
		}
		block := frontend.BlockType(query.Get("preferredBlock"))
		return &block, nil
	}}
}
