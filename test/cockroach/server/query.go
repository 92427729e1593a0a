package server

import (
	"errors"
	"regexp"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser/statements"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/jackc/pgx/v5/pgproto3"

	"app238.com/inner/test/cockroach/typecheck"
)

var (
	versionCall = regexp.MustCompile(`\bversion\(\)`)
	internals   = regexp.MustCompile(`\bcrdb_internal\.`)
)

var errNotEnded = errors.New("the open transaction could not be ended")

// renamed has the server's version be CockroachDB's wherever a statement asks for it.
func renamed(text string) string { return versionCall.ReplaceAllString(text, "'"+Version+"'::TEXT") }

// read parses a text, or says why CockroachDB would not.
func read(text string) (statements.Statements, *pgproto3.ErrorResponse) {
	parsed, err := typecheck.Parse(text)
	switch {
	case err != nil:
		return nil, answer("42601", err.Error())
	case internals.MatchString(text):
		return nil, answer("42501", "Access to crdb_internal and system is restricted.")
	}
	return parsed, nil
}

func changesSchema(all statements.Statements) bool {
	for _, one := range all {
		if tree.CanModifySchema(one.AST) {
			return true
		}
	}
	return false
}

func answer(code, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message}
}

func failure(f *Fault) *pgproto3.ErrorResponse {
	switch f.Code {
	case "40001":
		return answer(f.Code,
			"restart transaction: TransactionRetryWithProtoRefreshError: TransactionRetryError: retry txn (RETRY_SERIALIZABLE)")
	case "40003":
		return answer(f.Code, "result is ambiguous: error=unable to determine whether command was applied via local retries")
	}
	return answer(f.Code, "scripted")
}

// query answers a text of one or several statements.
func (s *session) query(text string) error {
	parsed, refusal := read(text)
	if refusal != nil {
		s.client.Send(refusal)
		if err := s.abort(); err != nil {
			return err
		}
		return s.ready()
	}
	if len(parsed) == 1 {
		if _, commit := parsed[0].AST.(*tree.CommitTransaction); commit || s.state == idle {
			if fault := s.server.fault(text); fault != nil {
				return s.fail(text, fault)
			}
		}
	}
	if !changesSchema(parsed) {
		s.upstream.Send(&pgproto3.Query{String: renamed(text)})
		if err := s.relay(); err != nil {
			return err
		}
		return s.ready()
	}
	return s.change(parsed)
}

// change carries out statements that change the schema, each by itself.
func (s *session) change(all statements.Statements) error {
	for _, one := range all {
		if tree.CanModifySchema(one.AST) {
			if err := s.endTransaction(); err != nil {
				return err
			}
		}
		refused, err := s.one(renamed(one.SQL))
		if err != nil {
			return err
		}
		if refused {
			break
		}
	}
	return s.ready()
}

// one carries out a statement and tells whether it was refused.
func (s *session) one(text string) (refused bool, err error) {
	s.upstream.Send(&pgproto3.Query{String: text})
	if err := s.upstream.Flush(); err != nil {
		return false, err
	}
	for {
		message, err := s.upstream.Receive()
		if err != nil {
			return false, err
		}
		switch m := message.(type) {
		case *pgproto3.ReadyForQuery:
			s.state = m.TxStatus
			return refused, nil
		case *pgproto3.ErrorResponse:
			refused = true
		}
		s.client.Send(message)
	}
}

// fail carries out a transaction or not, and answers as scripted.
func (s *session) fail(text string, fault *Fault) error {
	switch {
	case fault.Applied:
		if err := s.silently(text); err != nil {
			return err
		}
	case s.state != idle:
		if err := s.silently("ROLLBACK"); err != nil {
			return err
		}
	}
	s.client.Send(failure(fault))
	return s.ready()
}

// silently has the PostgreSQL do something that is not reported to the client.
func (s *session) silently(text string) error {
	s.upstream.Send(&pgproto3.Query{String: text})
	if err := s.upstream.Flush(); err != nil {
		return err
	}
	for {
		message, err := s.upstream.Receive()
		if err != nil {
			return err
		}
		if ready, is := message.(*pgproto3.ReadyForQuery); is {
			s.state = ready.TxStatus
			return nil
		}
	}
}

// endTransaction commits what is open before a change of the schema.
func (s *session) endTransaction() error {
	if s.state != open {
		return nil
	}
	if err := s.silently("COMMIT"); err != nil {
		return err
	}
	if s.state != idle {
		return errNotEnded
	}
	s.client.Send(&pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000",
		Message: "auto-committing transaction before processing DDL due to autocommit_before_ddl setting"})
	return nil
}

// abort has the open transaction fail, as after every error.
func (s *session) abort() error {
	if s.state != open {
		return nil
	}
	return s.silently("SELECT 1/0")
}
