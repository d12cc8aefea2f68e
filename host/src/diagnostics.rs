//! What there is to say of a configuration, its scripts and its plugins: the same lines for `introd check-config`, which prints them, and
//! for a server that starts or reloads, which logs them.

use introd_config::{Adaptor, Config, Diagnostic, Kept, Registered, Severity, Vhost};
use introd_log::CONFIGURATION;
use introd_native::{Library, LoadError, Plugins, Prepared};
use introd_policy::InstanceName;

/// Logs lines, each at its level.
pub(crate) fn log(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!(target: CONFIGURATION, "{diagnostic}"),
            Severity::Warning => tracing::warn!(target: CONFIGURATION, "{diagnostic}"),
        }
    }
}

/// What there is to say of the scripts of all applications: they are loaded, and not started.
pub(crate) fn of_scripts(config: &Config) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (adaptor, vhost, application, registered) in config.registered() {
        if let Err(failure) = of_script(adaptor, vhost, application, registered, &mut diagnostics) {
            let text = format!("application {application} rejects clients until its script loads: {failure}");
            diagnostics.push(Diagnostic::error(text));
        }
    }
    diagnostics
}

/// Adds what there is to say of the script of an application, if it has one.
///
/// # Errors
/// Why the script does not load.
pub(crate) fn of_script(
    adaptor: &Adaptor,
    vhost: &Vhost,
    application: &str,
    registered: &Registered,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(), String> {
    if !registered.has_script || registered.closed.is_some() {
        return Ok(());
    }
    let instance = InstanceName::first(&adaptor.name, &vhost.name, application);
    let notes = introd_lua::check(instance, &registered.folder, &registered.settings)
        .map_err(|failure| format!("{}: {failure}", registered.folder.display()))?;
    diagnostics.extend(notes.iter().map(|note| Diagnostic::warning(format!("application {application}: {note}"))));
    Ok(())
}

/// Makes the instances of plugins for a start, and closes in `config` the applications with a plugin that cannot be used. Says what there
/// is to say of the plugins and of the registry, whose library is loaded.
///
/// # Errors
/// If the server does not start: a plugin that a virtual host gives to all its applications cannot be used, or the registry's plugin.
pub(crate) fn of_plugins(config: &mut Config, plugins: &Plugins) -> Result<(Prepared, Vec<Diagnostic>), LoadError> {
    let (prepared, closed) = plugins.prepare_or_close(config, None)?;
    let mut diagnostics = of_kept(&closed);
    if let Some(path) = &config.server.registry.plugin
        && !Library::load_registry(path)?.has_group_registry()
    {
        diagnostics.push(Diagnostic::warning(
            "members of groups do not meet those of other servers: the registry's plugin is older than that",
        ));
    }
    Ok((prepared, diagnostics))
}

/// What has become of applications with something that cannot be used.
pub(crate) fn of_kept(kept: &[Kept]) -> Vec<Diagnostic> {
    kept.iter().map(Diagnostic::error).collect()
}

/// The line about a plugin without which the server does not start.
pub(crate) fn of_refusal(error: &LoadError) -> Diagnostic {
    Diagnostic::error(format!("the server does not start: {error}"))
}
