package combinator_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/combinator/admin"
	"app238.com/inner/modules/combinator/internal/httpapi"
)

// send sends a request through the whole middleware.
func (b *bundle) send(method, target, body string) *httptest.ResponseRecorder {
	return b.sendFrom("192.0.2.1:1234", method, target, body)
}

// sendFrom is send over a connection from an address.
func (b *bundle) sendFrom(address, method, target, body string) *httptest.ResponseRecorder {
	handler := server.NewHandler(b.config.HTTP, zap.NewNop(), httpapi.New(b.store).Routes())
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func (b *bundle) report(body string) *httptest.ResponseRecorder {
	return b.send(http.MethodPost, "/api/combinator/reportUsage", body)
}

// reportOf writes a report as a Combinator pod does.
func reportOf(uid, rid, kind string, change int64, start time.Time, span time.Duration) string {
	return fmt.Sprintf(`{"user_id":%q,"resource_id":%q,"resource_type":%q,"datachange":%d,"timespan_start":%q,"timespan_end":%q}`,
		uid, rid, kind, change, start.Format(time.RFC3339Nano), start.Add(span).Format(time.RFC3339Nano))
}

func (b *bundle) count() (n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.QueryRow(`SELECT count(*) FROM combinator_resource_reports`).Scan(&n))
	return n
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestReportsAreAtomicAndIdempotent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "rdb")
	b.resource("u1", "r2", "kv")
	b.resource("u2", "r3", "kv")
	one := reportOf("u1", "r1", "rdb", -5, noon, time.Minute)
	for range 2 {
		w := b.report(one)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.JSONEq(t, `{"message": "report received", "count": 1}`, w.Body.String())
	}
	require.Equal(t, 1, b.count(), "the same report counts once")
	for _, port := range []string{":80", ":81"} {
		w := b.sendFrom("192.0.2.2"+port, http.MethodPost, "/api/combinator/reportUsage", one)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	require.Equal(t, 2, b.count(), "an equal report of another pod counts")
	_, err := b.db.Exec(`DELETE FROM combinator_resource_reports WHERE id = (SELECT max(id) FROM combinator_resource_reports)`)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, b.report(reportOf("u1", "r1", "rdb", 0, noon, time.Minute)).Code,
		"another report of the same span")
	require.Equal(t, 2, b.count())

	good := reportOf("u1", "r2", "kv", 1, noon, time.Minute)
	for body, want := range map[string]string{
		"[" + good + "," + reportOf("u1", "r3", "kv", 1, noon, 0) + "]":            "[1].resource_id",
		"[" + good + "," + reportOf("u1", "none", "kv", 1, noon, 0) + "]":          "[1].resource_id",
		"[" + good + "," + reportOf("u1", "r2", "rdb", 1, noon, 0) + "]":           "[1].resource_id",
		"[" + good + "," + reportOf("u1", "r2", "kv", 1, noon, -time.Second) + "]": "[1].timespan_end",
		"[" + reportOf("u1", "r'2", "kv", 1, noon, 0) + "]":                        "[0].resource_id",
		"[" + good + `,{"user_id":"u1","resource_id":"r2","resource_type":"kv"}]`:  "[1].datachange",
		`{"user_id":5}`:                          "user_id",
		`[` + good + `,7]`:                       "[1]: must be an object, not number",
		`[` + good + `,{"user_id":5}]`:           "[1].user_id: must be a string, not number",
		`[` + good + `,{"datachange":"5"}]`:      "[1].datachange: must be an integer, not string",
		`[` + good + `,[` + good + `]]`:          "[1]: must be an object, not array",
		`7`:                                      "body: must be an object, not number",
		reportOf("u1", "r2", "disk", 1, noon, 0): "resource_type",
		strings.Replace(good, "2026", "soon", 1): "timespan_start",
		strings.Replace(good, "2026", "9999", 1)[:len(good)-1] + `,"datachange":1.5}`: "datachange",
	} {
		w := b.report(body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		require.Contains(t, w.Body.String(), want, body)
	}
	require.Equal(t, 2, b.count(), "a rejected request stores nothing")
}

func TestThousandsOfReportsInOneRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.resource("u1", "r1", "kv")
	const n = 5000
	all := make([]string, n)
	for i := range all {
		all[i] = reportOf("u1", "r1", "kv", int64(i), noon.Add(time.Duration(i)*time.Minute), time.Minute)
	}
	w := b.report("[" + strings.Join(all, ",") + "]")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, n, b.count())

	days, err := b.store.Days(t.Context(),
		admin.Query{UserUID: "u1", From: noon.Truncate(24 * time.Hour), To: noon.AddDate(0, 0, 1).Truncate(24 * time.Hour)})
	require.NoError(t, err)
	require.Len(t, days, 2)
	require.Equal(t, "2026-05-01", days[0].Day)
	require.EqualValues(t, 720, days[0].Reports, "the minutes from noon to midnight")
	require.Equal(t, big.NewInt(719*720/2), days[0].DataChange)
	require.EqualValues(t, 1440, days[1].Reports)
}

func TestExcessiveDataChangesAreRejectedAndLargeSumsWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.resource("u1", "r1", "kv")
	good := reportOf("u1", "r1", "kv", httpapi.MaxDataChange, noon, time.Minute)
	for _, change := range []int64{math.MaxInt64, math.MinInt64, httpapi.MaxDataChange + 1, -httpapi.MaxDataChange - 1} {
		w := b.report("[" + good + "," + reportOf("u1", "r1", "kv", change, noon, time.Minute) + "]")
		require.Equal(t, http.StatusBadRequest, w.Code, w.Body)
		require.Contains(t, w.Body.String(), "[1].datachange: must be")
	}
	require.Zero(t, b.count())
	for _, change := range []int64{httpapi.MaxDataChange, -httpapi.MaxDataChange} {
		require.Equal(t, http.StatusOK, b.report(reportOf("u1", "r1", "kv", change, noon, time.Minute)).Code)
	}
	// Reports of an earlier release.
	_, err := b.db.Exec(`INSERT INTO combinator_resource_reports (user_uid, resource_id, datachange, record_start, record_end)
		SELECT 'u1', id, 9223372036854775807, '2026-05-01 12:00:00', '2026-05-01 12:00:00' FROM combinator_resources, generate_series(1, 2)`)
	require.NoError(t, err)
	days, err := b.store.Days(t.Context(), admin.Query{})
	require.NoError(t, err)
	require.Len(t, days, 1)
	require.Equal(t, "18446744073709551614", days[0].DataChange.String())
}

func TestSecretRouteReturnsActiveResources(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "rdb")
	b.resource("u1", "r2", "kv")
	b.resource("u2", "r3", "kv")
	_, err := b.db.Exec(`UPDATE combinator_resources SET status = 'active' WHERE resource_id <> 'r2'`)
	require.NoError(t, err)
	const path = "/api/combinator/retrieveSecretByID?user_id="
	w := b.send(http.MethodGet, path+"u1", "")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.JSONEq(t, `{"secret": "sk_one", "secret_key": "sk_one", "resources": [{"resource_id": "r1", "resource_type": "rdb"}]}`,
		w.Body.String())
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, http.StatusOK, b.send(http.MethodGet, path+"u1&resource_id=r1", "").Code)
	for target, want := range map[string]int{
		"u9": http.StatusNotFound, "u1&resource_id=r2": http.StatusNotFound, "u1&resource_id=r3": http.StatusNotFound,
		"": http.StatusBadRequest, "u1'": http.StatusBadRequest, "u1&resource_id=": http.StatusBadRequest,
		"%CE%B1": http.StatusBadRequest,
	} {
		w := b.send(http.MethodGet, path+target, "")
		require.Equal(t, want, w.Code, target)
		require.NotContains(t, w.Body.String(), "sk_")
	}
}

// FuzzBodies checks that a body is answered with 200 or 400 by its form alone.
func FuzzBodies(f *testing.F) {
	f.Add(reportOf("u1", "r1", "kv", 1, noon, time.Minute))
	f.Add(`[` + reportOf("u1'; --", "r1", "kv", 1, noon, time.Minute) + `]`)
	f.Add(`[[]]`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		routes := httpapi.New(nil).Routes()
		c := config.HTTP{BodyLimit: 1 << 20, RequestTimeout: time.Minute}
		r := httptest.NewRequest(http.MethodPost, "/api/combinator/reportUsage", strings.NewReader(body))
		w := httptest.NewRecorder()
		defer func() {
			// A well-formed body reaches the store, which this test does not have.
			if p := recover(); p != nil && !strings.Contains(fmt.Sprint(p), "nil pointer") {
				t.Fatal(p)
			}
		}()
		server.NewHandler(c, zap.NewNop(), routes).ServeHTTP(w, r)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
	})
}
