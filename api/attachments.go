package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"metahub/api/model"
	"metahub/api/upload"
)

// maxFiles bounds the files of a form.
const maxFiles = 10

// attachments are the files that a form brings for a document, and what it does to those that are there. They are one request's. Its
// methods may be called on nil, which has none.
type attachments struct {
	api         *API
	request     *request
	model       *model.Model
	by          model.Audience
	staged      []*upload.Staged
	arrangement model.Arrangement
	begun       bool // the database was asked to write
}

func (a *API) newAttachments(r *request, m *model.Model, by model.Audience) *attachments {
	return &attachments{api: a, request: r, model: m, by: by}
}

// open reports whether files are taken at all.
func (f *attachments) open() bool {
	return f.api.uploads != nil && f.request.tenant.Uploads > 0 && f.model.Upload.Takes(f.field(), f.by)
}

func (f *attachments) field() string {
	if f.model.Upload == nil {
		return ""
	}
	return f.model.Upload.Field.Name
}

// most is how many files a form may bring.
func (f *attachments) most() int { return filesOf(f.model.Upload) }

func filesOf(u *model.Upload) int {
	if u.Single {
		return 1
	}
	return maxFiles
}

// limit is the largest form in bytes.
func (f *attachments) limit() int {
	if !f.open() {
		return bodyLimit(f.request)
	}
	most := int64(f.most()*upload.MaxFile + maxBody)
	if body := f.request.tenant.Limits.Body; body > 0 {
		most = min(most, body)
	}
	return int(most)
}

// stage keeps a file for the time being. A refusal names the field.
func (f *attachments) stage(name string, content io.Reader) error {
	refuse := func(message string) error { return invalid([]model.Issue{{Path: cutName(name), Message: message}}) }
	switch {
	case !f.model.Upload.Takes(name, f.by):
		return refuse("must not be a file: files are not taken here. Send the address of one as a text")
	case !f.open():
		return refuse("must not be a file: this tenant keeps none. Send the address of one as JSON")
	case len(f.staged) == f.most():
		return refuse(fmt.Sprintf("must come with at most %d files in a form", f.most()))
	}
	if len(f.staged) == 0 {
		f.collect()
	}
	r := f.request
	staged, err := f.api.uploads.Stage(r.tenant.Slug, f.model.Name, content, f.quota())
	for _, refusal := range []error{upload.ErrType, upload.ErrSize, upload.ErrQuota} {
		if errors.Is(err, refusal) {
			return refuse(refusal.Error())
		}
	}
	if err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	f.staged = append(f.staged, staged)
	return nil
}

// quota is how many bytes the tenant's files may take together. Those who do not write all of the resource leave an eighth of it, so that
// any number of accounts with pictures cannot keep admins from uploading theirs.
func (f *attachments) quota() int64 {
	all := f.request.tenant.Uploads
	if c := f.request.who.caller; c.may(f.model, writes, f.model.Roles) {
		return all
	}
	return all - all/8
}

func cutName(name string) string { return strings.ToValidUTF8(name[:min(len(name), 200)], "") }

// empty reports whether the document is as it would be without them.
func (f *attachments) empty() bool {
	return f == nil || len(f.staged) == 0 && f.arrangement.Empty()
}

// commit gives the files the names that they have in a document, and returns its new elements.
func (f *attachments) commit(id any) (bson.A, error) {
	of, ok := id.(bson.ObjectID)
	if !ok && len(f.staged) > 0 {
		return nil, invalid([]model.Issue{{Path: f.field(), Message: "must not be a file: the document has an id of another program"}})
	}
	added := bson.A{}
	for _, staged := range f.staged {
		if err := staged.Commit(of.Hex()); err != nil {
			return nil, fmt.Errorf("keep a file: %w", err)
		}
		name := staged.Name(of.Hex())
		added = append(added, f.model.Upload.Element(uploadPath(f.model)+name, name))
	}
	return added, nil
}

// create adds the files to a new document.
func (f *attachments) create(draft *model.Draft) error {
	if f.empty() {
		return nil
	}
	added, err := f.commit(draft.ID())
	if err != nil {
		return err
	}
	if issues := draft.Arrange(f.arrangement, added); len(issues) > 0 {
		return invalid(issues)
	}
	return nil
}

// begin notes that the database is asked to write.
func (f *attachments) begin() {
	if f != nil {
		f.begun = true
	}
}

// change adds the files to a document that is there.
func (f *attachments) change(current bson.Raw, change model.Change) (model.Change, error) {
	if f.empty() {
		return change, nil
	}
	var id any
	if err := current.Lookup("_id").Unmarshal(&id); err != nil {
		return change, err
	}
	f.begun = true
	added, err := f.commit(id)
	if err != nil {
		return change, err
	}
	change, issues := change.Arrange(f.model, current, f.arrangement, added)
	if len(issues) > 0 {
		return change, invalid(issues)
	}
	return change, nil
}

// settle keeps the files where their document was written, or may have been: an answer that did not come says neither. Then it is asked.
func (f *attachments) settle(err error) {
	if f == nil || len(f.staged) == 0 || !f.begun || refused(err) {
		return
	}
	written, known := err == nil, err == nil
	if !known {
		written, known = f.written()
	}
	for _, staged := range f.staged {
		switch {
		case !known: // a file too many is better than a document without its picture
			staged.Leave()
		case written:
			if err := staged.Keep(); err != nil {
				f.api.log.Warn("a file is looked at again, though its document is written", append(f.request.logFields(), zap.Error(err))...)
			}
		}
	}
}

// refused reports whether an error says that nothing was written.
func refused(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Status < 500
}

// written asks for a document that has one of the files.
func (f *attachments) written() (written, known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), f.request.patience)
	defer cancel()
	for _, staged := range f.staged {
		id, ok := staged.Document()
		if !ok {
			continue
		}
		named, err := f.api.named(ctx, f.request, f.model, upload.Unsettled{Resource: f.model.Name, Name: staged.Name(id)})
		if err != nil {
			f.api.log.Warn("a file is kept that perhaps no document names, until the database can be asked", append(f.request.logFields(), zap.Error(err))...)
			return false, false
		}
		written = written || named
	}
	return written, true
}

// named reports whether the document that a file was uploaded for has it.
func (a *API) named(ctx context.Context, r *request, m *model.Model, file upload.Unsettled) (named bool, err error) {
	id, err := bson.ObjectIDFromHex(file.Document())
	if err != nil {
		return false, err
	}
	field := m.Upload.Field.Name
	err = a.store.Do(ctx, r.tenant, func(ctx context.Context, db *mongo.Database) error {
		raw, err := readOne(ctx, db, m.Collection, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: field, Value: 1}})
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		named = err == nil && slices.Contains(m.Upload.URLs(raw), uploadPath(m)+file.Name)
		return err
	})
	return named, err
}

// collect ends what uploads have left whose process was killed before it knew of their documents, and which count as the tenant's. What cannot
// be found out now is found again later.
func (f *attachments) collect() {
	a, r := f.api, f.request
	ctx, cancel := context.WithTimeout(context.Background(), r.patience)
	defer cancel()
	left, err := a.uploads.TakeUnsettled(r.tenant.Slug)
	for _, file := range left {
		m, ok := r.resources.models.Named(file.Resource)
		if !ok || m.Upload == nil {
			continue // nobody can tell
		}
		if err = a.collectOne(ctx, r, m, file); err != nil {
			break
		}
	}
	if err != nil {
		a.log.Warn("what uploads have left that were cut off stays for now", append(r.logFields(), zap.Error(err))...)
	}
}

func (a *API) collectOne(ctx context.Context, r *request, m *model.Model, file upload.Unsettled) error {
	named, err := a.named(ctx, r, m, file)
	switch {
	case err != nil:
		return err
	case named:
		return a.uploads.Settle(r.tenant.Slug, file.Resource, file.Name)
	}
	a.log.Info("a file is removed whose upload was cut off before its document", append(r.logFields(), zap.String("resource", file.Resource), zap.String("file", file.Name))...)
	return a.uploads.Remove(r.tenant.Slug, file.Resource, file.Name)
}

// discard removes those files that are not kept.
func (f *attachments) discard() {
	if f == nil {
		return
	}
	for _, staged := range f.staged {
		if err := staged.Discard(); err != nil {
			f.api.log.Warn("a file is kept that no document names", append(f.request.logFields(), zap.Error(err))...)
		}
	}
}

// dropFiles removes the files of a document that it had before a write, and has no more. Either may be nil.
func (a *API) dropFiles(r *request, m *model.Model, before, after bson.Raw) {
	if m.Upload == nil || a.uploads == nil {
		return
	}
	id, ok := before.Lookup("_id").ObjectIDOK()
	if !ok {
		return
	}
	there := m.Upload.URLs(after)
	for _, url := range m.Upload.URLs(before) {
		name, ours := strings.CutPrefix(url, uploadPath(m))
		if !ours || !upload.Belongs(name, id.Hex()) || slices.Contains(there, url) {
			continue
		}
		if err := a.uploads.Remove(r.tenant.Slug, m.Name, name); err != nil {
			a.log.Warn("a file is kept that no document names", append(r.logFields(), zap.Error(err))...)
		}
	}
}

// uploadPath is the address of a model's files, without their names.
func uploadPath(m *model.Model) string { return "/api/uploads/" + m.Name + "/" }
