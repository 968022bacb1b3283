package gateway_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/keyward/keyward/services/gateway"
)

// reflected opens a reflection stream and asks for the services.
func reflected(t *testing.T, ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	// What a refused stream is sent is of no interest; the answer says why.
	_ = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	got, err := stream.Recv()
	var names []string
	for _, one := range got.GetListServicesResponse().GetService() {
		names = append(names, one.GetName())
	}
	return names, err
}

func TestReflectionStreamsAreBoundedAndTakeNobodyElsesPlace(t *testing.T) {
	t.Parallel()
	const places = 32
	s := serve(t, setup{cfg: gateway.Config{MaxInFlight: 1}})
	conn, err := grpc.NewClient(s.gateway.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	for i := range places {
		if names, err := reflected(t, ctx, conn); err != nil || len(names) != 3 {
			t.Fatalf("stream %d: %v, %v", i, names, err)
		}
	}
	if _, err := reflected(t, ctx, conn); status.Code(err) != codes.Unavailable {
		t.Errorf("one stream too many got %v", err)
	}
	if got := s.listPasskeys(way{overConnect, portHTTP}, "usr-1", nil); got.code != "ok" {
		t.Errorf("a call got %+v", got)
	}
	end()
	s.eventually(func() bool {
		names, err := reflected(t, t.Context(), conn)
		return err == nil && len(names) == 3
	}, "a free place")
}

func TestReflectionStreamsEndWithTheGatewayAndInTime(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]gateway.Config{
		"when the gateway stops":  {Grace: patience, ReadTimeout: patience, RequestTimeout: patience},
		"when their time is over": {Grace: patience, ReadTimeout: patience, RequestTimeout: 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, setup{cfg: cfg})
			conn, err := grpc.NewClient(s.gateway.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(
				&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}},
			); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if cfg.RequestTimeout == patience {
				s.stop()
				if err := <-s.ended; err != nil {
					t.Errorf("run ended with %v", err)
				}
				close(s.ended)
			}
			if _, err := stream.Recv(); err == nil {
				t.Error("there was another answer")
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}
