package jobs_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
)

func definitions() map[string]job.Definition {
	var p jobs.Params
	all := map[string]job.Definition{}
	for _, d := range []job.Definition{
		jobs.NewCreateRDB(p, &config.Config{}), jobs.NewDeleteRDB(p), jobs.NewCreateKV(p), jobs.NewDeleteKV(p),
		jobs.NewRegisterUser(p), jobs.NewNotifyPods(p), jobs.NewRemoveTenant(p),
	} {
		all[d.Type] = d
	}
	return all
}

func TestPayloadsAreValidatedOnAccept(t *testing.T) {
	t.Parallel()
	all := definitions()
	for payload, want := range map[string]string{
		`{"user_uid":"u1","resource_id":"r1"}`:                 "",
		`{"UserUID":"u1","ResourceID":"r1"}`:                   "",
		`{"user_uid":"u1"}`:                                    "resource_id: required",
		`{"user_uid":"u1\"; DROP SCHEMA x","resource_id":"r"}`: "user_uid",
		`{"user_uid":"u1","resource_id":"аbc"}`:                "resource_id",
		`{"user_uid":"u1","resource_id":7}`:                    "resource_id: must be a string",
		`[]`:                                                   "must be an object",
	} {
		for _, kind := range []string{jobs.DeleteRDBType, jobs.CreateKVType, jobs.DeleteKVType} {
			prepared, err := all[kind].Prepare([]byte(payload))
			if want != "" {
				require.ErrorContains(t, err, want, payload)
				continue
			}
			require.NoError(t, err)
			require.JSONEq(t, `{"user_uid":"u1","resource_id":"r1"}`, string(prepared.Info))
			require.Equal(t, "resource/u1/r1", prepared.OrderingKey)
		}
	}
	_, err := all[jobs.CreateRDBType].Prepare([]byte(`{"user_uid":"u1","resource_id":"r1"}`))
	require.ErrorContains(t, err, "name: required")
	again, err := all[jobs.CreateRDBType].Prepare([]byte(`{"user_uid":"u1","resource_id":"r1","name":"a"}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"user_uid":"u1","resource_id":"r1","name":"a"}`, string(again.Info))
}

// FuzzPayloads checks that an accepted payload is stored unchanged and holds only identifiers.
func FuzzPayloads(f *testing.F) {
	f.Add(`{"user_uid":"u1","resource_id":"r1","name":"n","resource_type":"kv"}`)
	f.Add(`{"UserUID":"u1","ResourceID":"r'1","name":null}`)
	all := definitions()
	f.Fuzz(func(t *testing.T, payload string) {
		for _, d := range all {
			first, err := d.Prepare([]byte(payload))
			if err != nil {
				continue
			}
			second, err := d.Prepare(first.Info)
			require.NoError(t, err)
			require.Equal(t, first.OrderingKey, second.OrderingKey)
			var ids struct {
				UserUID    string `json:"user_uid"`
				ResourceID string `json:"resource_id"`
			}
			require.NoError(t, json.Unmarshal(first.Info, &ids))
			require.NoError(t, identifier.Check("user_uid", ids.UserUID))
			if d.Type != jobs.RegisterUserType && d.Type != jobs.RemoveTenantType {
				require.NoError(t, identifier.Check("resource_id", ids.ResourceID))
			}
		}
	})
}
