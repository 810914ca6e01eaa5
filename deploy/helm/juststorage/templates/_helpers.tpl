{{- define "juststorage.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "juststorage.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: store
{{- end -}}

{{/* The component differs: what selects pods of the store must not select the test's. */}}
{{- define "juststorage.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "juststorage.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The secret's name. Without a root credential the server refuses to start, so nothing is installed. */}}
{{- define "juststorage.secret" -}}
{{- if .Values.existingSecret -}}
{{- .Values.existingSecret -}}
{{- else -}}
{{- $secret := .Values.secret -}}
{{- if not (and $secret.s3RootAccessKey $secret.s3RootSecretKey) -}}
{{- fail "existingSecret must name a secret with JUSTSTORAGE_S3_ROOT_ACCESS_KEY and JUSTSTORAGE_S3_ROOT_SECRET_KEY, or secret.s3RootAccessKey and secret.s3RootSecretKey must be set" -}}
{{- end -}}
{{- if and (eq .Values.database.engine "postgres") (not (and $secret.databaseUrl $secret.masterKey)) -}}
{{- fail "PostgreSQL needs secret.databaseUrl and secret.masterKey, or an existingSecret with DATABASE_URL and JUSTSTORAGE_MASTER_KEY" -}}
{{- end -}}
{{- include "juststorage.fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "juststorage.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# The files of the volumes get this group.
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "juststorage.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
